//! Names of layers.

use std::fmt;
use std::str::FromStr;

/// The name of a layer, which is also the name of its folder.
///
/// Lower-case letters, digits and `-`, at most 128 bytes, starting with a letter or digit: it cannot leave its folder
/// and cannot collide with the sink's temporary names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerId(String);

/// A text is no layer name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a layer name: use lower-case letters, digits and '-', at most 128")]
pub struct InvalidLayerId(String);

impl LayerId {
    /// Makes a fresh random name, `PREFIX-` and 32 hexadecimal digits.
    ///
    /// # Errors
    /// When `prefix` has characters that a name may not have.
    pub fn random(prefix: &str) -> Result<Self, InvalidLayerId> {
        format!("{prefix}-{}", uuid::Uuid::new_v4().simple()).parse()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerId {
    type Err = InvalidLayerId;

    fn from_str(text: &str) -> Result<Self, InvalidLayerId> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = text.bytes().next().is_some_and(|byte| byte != b'-');
        if starts && text.len() <= 128 && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLayerId(text.chars().take(160).collect()))
        }
    }
}

impl TryFrom<String> for LayerId {
    type Error = InvalidLayerId;

    fn try_from(text: String) -> Result<Self, InvalidLayerId> {
        text.parse()
    }
}

impl From<LayerId> for String {
    fn from(id: LayerId) -> Self {
        id.0
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::LayerId;

    #[test]
    fn refuses_what_could_leave_the_folder() {
        for bad in ["", ".", "..", "a/b", ".tmp-1", "-a", "A", "sha256:aa", "a\0", &"a".repeat(129)] {
            assert!(bad.parse::<LayerId>().is_err(), "{bad:?} was taken");
        }
        assert!("sha256-00ff".parse::<LayerId>().is_ok());
        assert!(LayerId::random("snap").unwrap().as_str().starts_with("snap-"));
    }
}
