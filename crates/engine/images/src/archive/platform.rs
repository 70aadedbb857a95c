//! Which image of a multi-platform archive is wanted.

use std::fmt;

/// Operating system and architecture by Go's names, which image indexes use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Operating system, for example `linux`.
    pub os: String,
    /// Architecture, for example `amd64`.
    pub architecture: String,
}

impl Platform {
    /// Linux on the architecture that this program was built for.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self { os: "linux".to_owned(), architecture: go_architecture(std::env::consts::ARCH).to_owned() }
    }

    /// Whether an image that declares `os` and `architecture` runs here; an undeclared one may.
    pub(super) fn accepts(&self, os: Option<&str>, architecture: Option<&str>) -> bool {
        let fits =
            |wanted: &str, found: Option<&str>| found.is_none_or(|found| found == wanted || found.is_empty());
        fits(&self.os, os) && fits(&self.architecture, architecture)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// Go's name for an architecture of Rust's `std::env::consts::ARCH`.
fn go_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_what_is_declared() {
        let here = Platform { os: "linux".into(), architecture: "amd64".into() };
        assert!(here.accepts(Some("linux"), Some("amd64")));
        assert!(here.accepts(None, None));
        assert!(!here.accepts(Some("linux"), Some("arm64")));
        assert!(!here.accepts(Some("windows"), Some("amd64")));
        assert_eq!(go_architecture("x86_64"), "amd64");
    }
}
