//! Paths of a layer, taken apart before any system call sees them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A path below the root of a layer; without a name it is the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerPath {
    pub(super) parent: PathBuf,
    pub(super) name: Option<Vec<u8>>,
}

/// What an entry's name asks for (OCI image specification, layer.md, "Whiteouts").
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Root,
    Name(&'a [u8]),
    Whiteout(&'a [u8]),
    Opaque,
    /// Book-keeping of the aufs driver, which means nothing here.
    Ignored,
}

impl LayerPath {
    /// Takes a path of an archive apart; a leading `/` counts from the layer's root.
    pub(super) fn parse(raw: &[u8]) -> Result<Self, &'static str> {
        if raw.len() >= 4096 {
            return Err("has a path longer than 4095 bytes");
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in raw.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
            check_part(part)?;
            parts.push(part);
        }
        let name = parts.pop().map(<[u8]>::to_vec);
        if parts.iter().any(|part| part.starts_with(b".wh.")) {
            return Err("lies below a whiteout");
        }
        Ok(Self { parent: parts.iter().map(|part| OsStr::from_bytes(part)).collect(), name })
    }

    pub(super) fn target(&self) -> Result<Target<'_>, &'static str> {
        let Some(name) = self.name.as_deref() else { return Ok(Target::Root) };
        match name.strip_prefix(b".wh.") {
            None => Ok(Target::Name(name)),
            Some(b".wh..opq") => Ok(Target::Opaque),
            Some(rest) if rest.starts_with(b".wh.") => Ok(Target::Ignored),
            Some(b"" | b"." | b"..") => Err("is a whiteout of no name"),
            Some(rest) => Ok(Target::Whiteout(rest)),
        }
    }
}

fn check_part(part: &[u8]) -> Result<(), &'static str> {
    if part == b".." {
        return Err("has '..' in its path");
    }
    if part.len() > 255 {
        return Err("has a name longer than 255 bytes");
    }
    if part.contains(&0) {
        return Err("has a zero byte in its path");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(raw: &[u8]) -> (PathBuf, Vec<u8>) {
        let path = LayerPath::parse(raw).unwrap();
        (path.parent, path.name.unwrap())
    }

    #[test]
    fn counts_every_path_from_the_root() {
        assert_eq!(name_of(b"/etc/passwd"), ("etc".into(), b"passwd".to_vec()));
        assert_eq!(name_of(b".//a/./b//c/"), ("a/b".into(), b"c".to_vec()));
        assert_eq!(LayerPath::parse(b"./").unwrap().target(), Ok(Target::Root));
    }

    #[test]
    fn refuses_ways_out() {
        for bad in [&b"../x"[..], b"a/../../x", b"..", b"/..", b"a\0b", b"a/.wh.b/c"] {
            assert!(LayerPath::parse(bad).is_err(), "{} was taken", bad.escape_ascii());
        }
        assert!(LayerPath::parse(&[b'a'; 256]).is_err());
        assert!(LayerPath::parse(&b"a/".repeat(2048)).is_err());
    }

    #[test]
    fn tells_whiteouts_apart() {
        let target = |raw: &[u8]| match LayerPath::parse(raw).unwrap().target() {
            Ok(Target::Whiteout(name)) => format!("whiteout {}", name.escape_ascii()),
            other => format!("{other:?}"),
        };
        assert_eq!(target(b"a/.wh.b"), "whiteout b");
        assert_eq!(target(b"a/.wh..wh..opq"), "Ok(Opaque)");
        assert_eq!(target(b".wh..wh.plnk"), "Ok(Ignored)");
        for bad in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(LayerPath::parse(bad).unwrap().target().is_err());
        }
    }
}
