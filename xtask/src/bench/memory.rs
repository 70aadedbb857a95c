//! A file system in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Attempted, Result};
use crate::program;

/// Holds more than any single run of the client's benchmark leaves behind.
const OPTIONS: &str = "size=12g,mode=0700";

/// A tmpfs; dropping it takes it away with all that is in it.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
}

impl Memory {
    /// Mounts one below the temporary folder; needs root, as the engine does.
    pub(super) fn mount() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("openlattice-bench-{}", std::process::id()));
        fs::create_dir(&path).attempted(format!("could not make {}", path.display()))?;
        let memory = Self { path };
        program::run(Command::new("mount").args(["-t", "tmpfs", "-o", OPTIONS, "bench"]).arg(&memory.path))?;
        Ok(memory)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Nothing mounted fails the first, something that still uses it the second; both have been reported by then.
        drop(program::run(Command::new("umount").arg("--lazy").arg(&self.path)));
        drop(fs::remove_dir(&self.path));
    }
}
