//! What a command reads.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Says what a command's standard input is.
///
/// In JSON: `"closed"`, `"open"` or `{"bytes": "<base 64>"}`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Stdin {
    /// At its end from the start.
    #[default]
    Closed,
    /// These bytes, then its end.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    Bytes(Bytes),
    /// Written through the session, until it is closed there.
    Open,
}

impl fmt::Debug for Stdin {
    /// Shows the size of the bytes only: input is a usual way to pass a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Closed"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Open => f.write_str("Open"),
        }
    }
}

fn to_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map(Bytes::from).map_err(|_| serde::de::Error::custom("expected bytes in base 64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_survives_json() {
        for stdin in [Stdin::Closed, Stdin::Open, Stdin::Bytes(Bytes::from_static(b"\xff\x00"))] {
            let json = serde_json::to_string(&stdin).unwrap();
            assert_eq!(serde_json::from_str::<Stdin>(&json).unwrap(), stdin);
        }
        assert!(!format!("{:?}", Stdin::Bytes(Bytes::from_static(b"hush"))).contains("hush"));
    }
}
