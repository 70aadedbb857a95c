//! One side of a copy.

use std::path::PathBuf;

use openlattice::{ComputeProvider, SandboxId};

use crate::failure::{Failure, Result};
use crate::resolve;

/// A path in a node or on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Node(SandboxId, String),
    Local(PathBuf),
}

impl Place {
    /// Reads `ID:/path` or a local path; a local path with a colon in it is written with a slash before the colon, as
    /// in `./a:b`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((id, path)) if !id.is_empty() && !id.contains('/') => {
                if !path.starts_with('/') {
                    let hint = format!("write {id}:/{path}, or ./{text} for a local path");
                    return Err(Failure::invalid(format!("{text:?} has no absolute path\nhint: {hint}")));
                }
                Ok(Self::Node(SandboxId::new(id), path.to_owned()))
            }
            _ if text.is_empty() => Err(Failure::invalid("a path is empty")),
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }

    /// The same place, with the ID of the sandbox that its word means.
    pub(super) async fn found(self, provider: &dyn ComputeProvider) -> Result<Self> {
        match self {
            Self::Node(word, path) => Ok(Self::Node(resolve::living(provider, word.as_str()).await?, path)),
            local => Ok(local),
        }
    }
}

/// Joins a name to a path in a node.
pub(super) fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_local_paths_are_told_apart() {
        assert_eq!(Place::parse("sb-1:/a").unwrap(), Place::Node("sb-1".into(), "/a".to_owned()));
        assert_eq!(Place::parse("./a:b").unwrap(), Place::Local("./a:b".into()));
        assert_eq!(Place::parse("/a").unwrap(), Place::Local("/a".into()));
        assert!(Place::parse("sb-1:a").is_err());
        assert!(Place::parse("").is_err());
        assert_eq!(join("/a/", "b"), "/a/b");
        assert_eq!(join("/", "b"), "/b");
    }
}
