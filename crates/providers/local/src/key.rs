//! Keys: repeating a provision gives the same sandbox.
//!
//! The sandbox's id is made of the key, so that two processes that provision with one key at the same time meet in the
//! engine, which gives an id away once. An attempt that failed has used up its id, hence the number.

use std::fmt::Write;

use openlattice::{ExecSpec, OnDrop, ProvisionSpec};
use openlattice_engine::SandboxId;
use sha2::{Digest, Sha256};

/// How many failed provisions of one key are looked past.
pub(crate) const ATTEMPTS: u32 = 1000;

/// The id that attempt number `attempt` with `key` uses.
pub(crate) fn sandbox_id(key: &str, attempt: u32) -> SandboxId {
    let digest = hex(&[b"openlattice key", key.as_bytes(), &attempt.to_le_bytes()]);
    SandboxId::parse(&format!("sb-{}", &digest[..26])).expect("hexadecimal digits fit an id")
}

/// The digest that two provisions with the same key must share; `from` is the snapshot of a restore.
pub(crate) fn spec_digest(key: &str, spec: &ProvisionSpec, from: Option<&str>) -> String {
    hex(&[key.as_bytes(), from.unwrap_or_default().as_bytes(), spec.canonical().expose().as_bytes()])
}

/// The digest that two starts of one command must share. What becomes of it when a caller goes away is each caller's
/// own matter. The digest holds the id too, a UUID as a rule, so that equal commands do not look equal on disk.
pub(crate) fn exec_digest(spec: &ExecSpec) -> String {
    let mut same = spec.clone();
    same.options.on_drop = OnDrop::default();
    let text = serde_json::to_string(&same).expect("maps with string keys always serialise");
    hex(&[b"openlattice exec", text.as_bytes()])
}

/// Digest of parts, each with its length, so that no two lists of parts read the same.
fn hex(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_key_and_attempt() {
        assert_eq!(sandbox_id("k", 0), sandbox_id("k", 0));
        assert_ne!(sandbox_id("k", 0), sandbox_id("k", 1));
        assert_ne!(sandbox_id("k", 0), sandbox_id("j", 0));
    }

    #[test]
    fn digests_follow_spec_and_snapshot() {
        let spec = ProvisionSpec::new("host");
        assert_eq!(spec_digest("k", &spec, None), spec_digest("k", &spec.clone().with_key("k"), None));
        assert_ne!(spec_digest("k", &spec, None), spec_digest("k", &spec, Some("im-1")));
        assert_ne!(spec_digest("k", &spec, None), spec_digest("k", &spec.clone().with_env("A", "1"), None));
    }

    #[test]
    fn digests_of_commands_follow_all_but_the_caller() {
        let spec = ExecSpec::new(["true"]).with_exec_id("e");
        assert_eq!(exec_digest(&spec), exec_digest(&spec.clone().with_on_drop(OnDrop::Kill)));
        assert_ne!(exec_digest(&spec), exec_digest(&spec.clone().with_env("A", "1")));
        assert_ne!(exec_digest(&spec), exec_digest(&ExecSpec::new(["false"]).with_exec_id("e")));
    }
}
