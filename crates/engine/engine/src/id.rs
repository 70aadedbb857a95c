//! Names of things in a store.

use crate::error::{Error, Result};
use std::fmt;
use uuid::Uuid;

/// Letters and digits that nobody mistakes for one another, for ids that people type.
const BASE32: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `len` digits of a random 122 bit number, from the operating system's generator.
pub(crate) fn random(alphabet: &[u8], len: usize) -> String {
    let mut rest = Uuid::new_v4().as_u128();
    let base = alphabet.len() as u128;
    let mut digit = || {
        let at = usize::try_from(rest % base).expect("a remainder is below the alphabet's length");
        rest /= base;
        char::from(alphabet[at])
    };
    (0..len).map(|_| digit()).collect()
}

/// A store's id: 8 lower-case letters or digits.
pub(crate) fn random_store_id() -> String {
    random(BASE32, 8)
}

/// A name that nothing else in the store's trash has.
pub(crate) fn random_trash_name() -> String {
    random(BASE32, 24)
}

/// Names a call that makes a sandbox; never 0.
pub(crate) fn random_birth() -> i64 {
    let bytes = Uuid::new_v4().into_bytes();
    i64::from_ne_bytes(std::array::from_fn(|at| bytes[at])) | 1
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Takes an existing ", $what, ": 1 to 64 of `A-Z a-z 0-9 - _`; others are `InvalidArgument`.")]
            pub fn parse(text: &str) -> Result<Self> {
                let fits = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if fits { Ok(Self(text.to_owned())) } else { Err(Error::invalid(format!(concat!("{:?} is not a ", $what), text))) }
            }
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// Names a sandbox: `sb-` and 26 letters or digits when the engine makes it (the shape of Modal's second generation).
    SandboxId, "sandbox id"
);
id_type!(
    /// Names a command of a sandbox; chosen by the caller or made by the engine (a UUID). `main` is the main command.
    ExecId, "exec id"
);
id_type!(
    /// Names an image: `im-` and 22 letters or digits.
    ImageId, "image id"
);

id_type!(
    /// Names a volume: `vo-` and 22 letters or digits.
    VolumeId, "volume id"
);

impl SandboxId {
    pub(crate) fn random() -> Self {
        Self(format!("sb-{}", random(BASE32, 26)))
    }
}

impl ExecId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The main command's.
    pub(crate) fn main() -> Self {
        Self("main".to_owned())
    }
}

impl ImageId {
    pub(crate) fn random() -> Self {
        Self(format!("im-{}", random(BASE62, 22)))
    }
}

impl VolumeId {
    pub(crate) fn random() -> Self {
        Self(format!("vo-{}", random(BASE62, 22)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_have_their_shape_and_differ() {
        let (a, b) = (SandboxId::random(), SandboxId::random());
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), 29);
        assert_eq!(SandboxId::parse(a.as_str()).unwrap(), a);
        assert_eq!(ImageId::random().as_str().len(), 25);
        assert_eq!(random_store_id().len(), 8);
    }

    #[test]
    fn ids_cannot_leave_their_folder() {
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(SandboxId::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
