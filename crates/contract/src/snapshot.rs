//! Snapshots: what is asked for, and the reference that is kept.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Says what a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SnapshotKind {
    /// The file system.
    #[default]
    Filesystem,
    /// The file system and the memory of the running processes.
    Memory,
}

/// Asks for a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SnapshotSpec {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: SnapshotKind,
}

/// Refers to a snapshot, in this process or another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotRef {
    /// The name of the provider that holds it.
    pub provider: String,
    /// The provider's id for it, such as Modal's `im-...`.
    pub external_id: String,
    /// When it was taken.
    pub created_at: Timestamp,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: SnapshotKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m22_a_reference_has_the_known_json_shape() {
        let json = r#"{"provider":"modal","externalId":"im-1","createdAt":"2026-01-02T03:04:05.000Z","type":"filesystem"}"#;
        let reference: SnapshotRef = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&reference).unwrap(), json);
        let odd = json.replace("externalId", "external");
        assert!(serde_json::from_str::<SnapshotRef>(&odd).unwrap_err().to_string().contains("external"));
    }
}
