//! Names of things in a store.

use crate::error::{Error, Result};
use std::fmt;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
