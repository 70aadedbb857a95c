//! What this provider writes into the engine's free text beside a sandbox.

use openlattice::Owner;
use serde::{Deserialize, Serialize};

/// Facts that the engine does not keep in a form of its own. No secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Note {
    /// Digest of the spec of a sandbox that was provisioned with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spec: Option<String>,
    /// The process that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
}

impl Note {
    /// Reads a note; one of another front says nothing to this provider.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("a struct of texts and numbers always serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_others_are_ignored() {
        let note = Note { spec: Some("d".to_owned()), owner: crate::owner::this_process() };
        assert_eq!(Note::read(&note.write()), note);
        for other in ["", "text", r#"{"app":"ap-1"}"#, "[1]"] {
            assert_eq!(Note::read(other), Note::default());
        }
    }
}
