//! Identifiers, each a type of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a newtype around a string that a provider chose.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text of an id, without judging its form; the provider that is given it does.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// Returns the text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the text of the id, by value.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

string_id! {
    /// Names a sandbox of one provider, such as `sb-...` on Modal.
    SandboxId
}

string_id! {
    /// Names one command of one sandbox; a caller may choose it, so that a repeated start runs once.
    ExecId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_string_in_json() {
        let id = SandboxId::new("sb-1");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"sb-1\"");
        assert_eq!(serde_json::from_str::<SandboxId>(&json).unwrap(), id);
        assert_eq!(format!("{id} {id:?}"), "sb-1 SandboxId(\"sb-1\")");
    }
}
