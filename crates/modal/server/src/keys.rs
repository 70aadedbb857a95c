//! Files of the store that hold the server's own secrets: made once, mode 0600, shared by every server of the store.

use crate::{
    config::Credentials,
    error::{Error, Result},
    ids,
};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Longest key file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// Makes the folder of the server's files (mode 0700) below the store and returns it.
pub(crate) fn folder(state_dir: &Path) -> Result<PathBuf> {
    let path = state_dir.join("modal");
    match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::File { path, source }),
    }
}

/// The content of `path`, which `make` gives when there is no such file yet.
///
/// Two servers that start at once agree: the file appears whole under its name, and the second one reads the first's.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map_err(failed),
    }
    let content = make()?;
    match publish(path, &content) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => read(path).map_err(failed),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    OpenOptions::new().read(true).open(path)?.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

fn publish(path: &Path, content: &str) -> io::Result<()> {
    let temporary = path.with_extension(ids::random(8));
    let written = write_new(&temporary, content).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// 32 random bytes kept in `path` as hexadecimal text.
pub(crate) fn key(path: &Path) -> Result<[u8; 32]> {
    let text = read_or_make(path, || {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).expect("the kernel's random source answers");
        Ok(hex(&bytes))
    })?;
    unhex(text.trim()).ok_or_else(|| {
        Error::Config(format!("{} is not a key; remove it to have a new one made", path.display()))
    })
}

/// The token pair of the store, made when there is none.
pub(crate) fn credentials(path: &Path) -> Result<Credentials> {
    let text = read_or_make(path, || {
        Ok(format!("token_id = \"ak-{}\"\ntoken_secret = \"as-{}\"\n", ids::random(22), ids::random(22)))
    })?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    match (value("token_id"), value("token_secret")) {
        (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => Ok(Credentials { id, secret }),
        _ => {
            Err(Error::Config(format!("{} holds no token pair; remove it to have one made", path.display())))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let made = key(&path).unwrap();
        assert_eq!(made, key(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        fs::write(&path, "xyz").unwrap();
        assert!(key(&path).unwrap_err().to_string().contains("remove it"));
    }

    #[test]
    fn credentials_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = credentials(&path).unwrap();
        assert!(made.id.starts_with("ak-") && made.secret.starts_with("as-"));
        assert_eq!(made, credentials(&path).unwrap());
    }
}
