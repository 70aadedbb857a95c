//! The words in the sources of the tests, which show whether a recorded test still exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::failure::{Attempted, Result};
use crate::workspace::Workspace;

/// Every identifier in the sources.
#[derive(Debug, Default)]
pub(crate) struct Words(BTreeSet<String>);

impl Words {
    /// Reads the sources of all crates and of the programs in `tests`.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut words = Self::default();
        for folder in ["crates", "examples", "tests", "xtask/src"] {
            words.folder(&workspace.root().join(folder))?;
        }
        Ok(words)
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let unreadable = || format!("could not read {}", folder.display());
        for entry in fs::read_dir(folder).attempted(unreadable())? {
            let path = entry.attempted(unreadable())?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() && !path.ends_with("node_modules") {
                self.folder(&path)?;
            } else if matches!(ending, Some("rs" | "py" | "mjs")) {
                let text =
                    fs::read_to_string(&path).attempted(format!("could not read {}", path.display()))?;
                self.text(&text);
            }
        }
        Ok(())
    }

    /// Adds the words of a text.
    pub(crate) fn text(&mut self, text: &str) {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        self.0.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
    }

    /// Whether a test of that name can exist: documentation examples have no name of their own.
    pub(crate) fn has(&self, name: &str) -> bool {
        name.contains(' ') || self.0.contains(name)
    }
}
