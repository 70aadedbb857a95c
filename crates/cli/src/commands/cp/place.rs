//! One side of a copy.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// A path in a sandbox or on this machine, or a tar archive on standard input or output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// ID, name or beginning of the ID, and the path.
    Sandbox(String, PathBuf),
    Local(PathBuf),
    Archive,
}

impl Place {
    /// Reads `ID:/path`, `-` or a local path; a local path with a colon in it, or of one dash, is written with a slash before that,
    /// as in `./a:b`.
    pub(super) fn parse(text: &OsStr) -> Result<Self> {
        let bytes = text.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let parts = colon.map(|colon| (&bytes[..colon], &bytes[colon + 1..]));
        match parts.and_then(|(id, path)| Some((std::str::from_utf8(id).ok()?, path))) {
            Some((id, path)) if !id.is_empty() && !id.contains('/') => {
                let shown = text.to_string_lossy();
                if !path.starts_with(b"/") {
                    let rest = String::from_utf8_lossy(path);
                    let hint = format!("write {id}:/{rest}, or ./{shown} for a local path");
                    return Err(Failure::invalid(format!("{shown:?} has no absolute path\nhint: {hint}")));
                }
                Ok(Self::Sandbox(id.to_owned(), OsStr::from_bytes(path).into()))
            }
            _ if text.is_empty() => Err(Failure::invalid("a path is empty")),
            _ if text == "-" => Ok(Self::Archive),
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

/// Whether a path means what is in a folder, and not the folder: `.`, `/` and what ends with `/.`.
pub(super) fn is_contents(path: &Path) -> bool {
    last_part(path).is_none_or(|name| name == ".")
}

/// Whether a path can only be that of a folder: it ends with a slash, or with `.` or `..` as its last part.
pub(super) fn says_folder(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
        || last_part(path).is_none_or(|name| name == "." || name == "..")
}

/// The name at the end of a path, where it ends in one.
pub(super) fn name_of(path: &Path) -> Option<&OsStr> {
    last_part(path).filter(|name| *name != "." && *name != "..")
}

/// What is behind the last slash that is followed by something; a [`Path`] would drop a dot.
fn last_part(path: &Path) -> Option<&OsStr> {
    let mut parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    parts.rfind(|part| !part.is_empty()).map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_archives_and_local_paths_are_told_apart() {
        let parse = |text: &str| Place::parse(text.as_ref());
        assert_eq!(parse("sb-1:/a").unwrap(), Place::Sandbox("sb-1".to_owned(), "/a".into()));
        assert_eq!(parse("./a:b").unwrap(), Place::Local("./a:b".into()));
        assert_eq!(parse("/a").unwrap(), Place::Local("/a".into()));
        assert_eq!(parse("-").unwrap(), Place::Archive);
        assert_eq!(parse("./-").unwrap(), Place::Local("./-".into()));
        let latin = OsStr::from_bytes(b"sb-1:/caf\xe9");
        assert_eq!(
            Place::parse(latin).unwrap(),
            Place::Sandbox("sb-1".to_owned(), OsStr::from_bytes(b"/caf\xe9").into())
        );
        assert!(parse("sb-1:a").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn the_end_of_a_path_says_what_is_meant() {
        let of = |path: &'static str| {
            let path = Path::new(path);
            (is_contents(path), says_folder(path), name_of(path).and_then(OsStr::to_str))
        };
        assert_eq!(of("a/b"), (false, false, Some("b")));
        assert_eq!(of("a/b//"), (false, true, Some("b")));
        for contents in ["a/.", "a/./", ".", "/"] {
            assert_eq!(of(contents), (true, true, None), "{contents}");
        }
        assert_eq!(of("a/.."), (false, true, None));
        assert_eq!(of("a/.b"), (false, false, Some(".b")));
    }
}
