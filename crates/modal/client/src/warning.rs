//! Warnings that a server adds to a reply, for the user to see.

use tonic::metadata::MetadataMap;

const WARNING: &str = "x-modal-warning";

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
    fn warnings_are_decoded() {
        let mut metadata = MetadataMap::new();
        metadata.append(WARNING, "no network%2C only loopback %C3%A9".parse().unwrap());
        metadata.append(WARNING, "100%".parse().unwrap());
        assert_eq!(read(&metadata), ["no network, only loopback é", "100%"]);
    }
}
