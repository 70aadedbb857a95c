//! The caller's key: on Modal it is the sandbox's name, which is unique among running ones, and a label, which stays.

use std::fmt::Write;

use openlattice::{ExecId, ProvisionSpec};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a key and its spec come down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The digest of the key.
    pub(crate) key: String,
    /// The digest of the spec, and of the snapshot for a restore.
    pub(crate) spec: String,
}

impl Key {
    /// Reads the key of a spec; nothing when it has none.
    pub(crate) fn of(spec: &ProvisionSpec, snapshot: Option<&str>) -> Option<Self> {
        let key = spec.key.as_deref()?;
        let canonical = spec.canonical();
        let parts = [key.as_bytes(), snapshot.unwrap_or_default().as_bytes(), canonical.expose().as_bytes()];
        Some(Self { key: hex(&digest(&[b"key", key.as_bytes()])[..16]), spec: hex(&digest(&parts)[..16]) })
    }

    /// Gives the name of the sandbox, within Modal's 64 characters.
    pub(crate) fn sandbox_name(&self) -> String {
        format!("key-{}", self.key)
    }
}

/// Gives the id under which a command travels: Modal's clients send UUIDs, so another text is turned into one.
pub(crate) fn exec_id(id: &ExecId) -> String {
    match Uuid::parse_str(id.as_str()) {
        Ok(uuid) => uuid.to_string(),
        Err(_) => uuid_of(&[b"exec", id.as_str().as_bytes()]),
    }
}

/// Gives the id of a command that belongs to making a sandbox: the same at each repetition, so that it runs once.
pub(crate) fn setup_id(sandbox: &str, step: &str) -> String {
    uuid_of(&[b"setup", sandbox.as_bytes(), step.as_bytes()])
}

fn uuid_of(parts: &[&[u8]]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(parts)[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Digest of parts, each with its length, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g4_the_digest_follows_spec_and_snapshot() {
        let spec = ProvisionSpec::new("host").with_key("k");
        let key = Key::of(&spec, None).unwrap();
        assert_eq!(Key::of(&spec.clone(), None).unwrap(), key);
        assert_ne!(Key::of(&spec, Some("im-1")).unwrap().spec, key.spec);
        assert_ne!(Key::of(&spec.clone().with_env("A", "1"), None).unwrap().spec, key.spec);
        assert_eq!(Key::of(&spec.with_env("A", "1"), None).unwrap().key, key.key);
        assert!(Key::of(&ProvisionSpec::new("host"), None).is_none());
        assert!(key.sandbox_name().len() <= 64);
    }

    #[test]
    fn exec_ids_are_uuids_and_stay_the_same() {
        let uuid = "0b4c3c9e-5f0a-4c51-9d4f-0a6f4d1c2b3a";
        assert_eq!(exec_id(&ExecId::new(uuid)), uuid);
        let other = exec_id(&ExecId::new("build"));
        assert!(Uuid::parse_str(&other).is_ok());
        assert_eq!(other, exec_id(&ExecId::new("build")));
        assert_ne!(setup_id("sb-1", "a"), setup_id("sb-1", "b"));
    }
}
