//! GPUs asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Names a type of GPU, such as `A100` or `A100-80GB`.
///
/// Any well-formed name is accepted, known or not, since providers add types; a count is a field of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GpuType(String);

impl GpuType {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty name or one with anything but letters, digits, `-`, `_`, `.`, `+` and `!`.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
        if !name.is_empty() && name.len() <= 64 && name.chars().all(good) {
            return Ok(Self(name));
        }
        Err(Error::invalid("gpu", "gpu.type", format_args!("{name:?} is not a GPU name"))
            .with_hint("name a type such as A100, and give the number in gpu.count"))
    }

    /// Returns the name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GpuType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GpuType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for GpuType {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<GpuType> for String {
    fn from(gpu: GpuType) -> Self {
        gpu.0
    }
}

/// Asks for GPUs of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Gpu {
    /// The type; without one the provider's default (`T4` on Modal).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<GpuType>,
    /// How many; without a number, one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Types to take instead, in this order, where the first is not to be had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<GpuType>,
}

impl Gpu {
    /// Returns the number asked for, one by default.
    pub fn count_or_one(&self) -> u32 {
        self.count.unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_does_not_belong_into_the_type() {
        assert!(GpuType::new("A100:2").is_err());
        assert!(GpuType::new("").is_err());
        assert_eq!(GpuType::new("H100!").unwrap().as_str(), "H100!");
        assert!(serde_json::from_str::<Gpu>(r#"{"type": "A 100"}"#).is_err());
    }
}
