//! Warnings that a server adds to a reply, for the user to see.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tonic::metadata::MetadataMap;

const WARNING: &str = "x-modal-warning";

/// How many different warnings are remembered.
const MOST: usize = 64;

/// The warnings that came so far, each once.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<VecDeque<String>>);

impl Warnings {
    /// Reports those that are new.
    pub(crate) fn note(&self, texts: Vec<String>) {
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&text) {
                continue;
            }
            tracing::warn!(text, "the server warns");
            if known.len() == MOST {
                known.pop_front();
            }
            known.push_back(text);
        }
    }

    /// All that are remembered, oldest first.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Reads the warnings of a reply: percent-encoded texts, one per entry.
pub(crate) fn read(metadata: &MetadataMap) -> Vec<String> {
    let texts = metadata.get_all(WARNING).into_iter().filter_map(|value| value.to_str().ok());
    texts.map(decode).collect()
}

/// Undoes percent encoding; what is not an encoding stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = (first == b'%').then(|| after.get(..2).and_then(hex)).flatten();
        bytes.push(encoded.unwrap_or(first));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_kept_once_and_old_ones_give_way() {
        let warnings = Warnings::default();
        warnings.note(vec!["a".to_owned(), String::new(), "a".to_owned()]);
        assert_eq!(warnings.all(), ["a"]);
        warnings.note((0..MOST).map(|number| number.to_string()).collect());
        assert_eq!((warnings.all().len(), &*warnings.all()[0]), (MOST, "0"));
    }

    #[test]
    fn warnings_are_decoded() {
        let mut metadata = MetadataMap::new();
        metadata.append(WARNING, "no network%2C only loopback %C3%A9".parse().unwrap());
        metadata.append(WARNING, "100%".parse().unwrap());
        assert_eq!(read(&metadata), ["no network, only loopback é", "100%"]);
    }
}
