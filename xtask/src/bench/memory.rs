//! A file system in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Attempted, Result};
use crate::program;

/// Holds more than any single run of the client's benchmark leaves behind.
const OPTIONS: &str = "size=12g,mode=0700";
/// Pages as large as what is written at once (Linux 6.14), as file systems on disks have them: with single pages of 4 KiB the
/// kernel's own work on them is more than half of a file's time, whoever sends it. Kernels without huge pages refuse the option.
const LARGE_PAGES: &str = "huge=within_size";

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
        if memory.mount_with(&format!("{OPTIONS},{LARGE_PAGES}")).is_err() {
            memory.mount_with(OPTIONS)?;
        }
        Ok(memory)
    }

    fn mount_with(&self, options: &str) -> Result<()> {
        program::run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "bench"]).arg(&self.path))
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
