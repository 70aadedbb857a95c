//! Output of ended commands: kept for a while, and within a bound for the whole store.

use crate::{
    engine::Inner,
    error::{Error, Result},
    exec::status::Status,
    sandbox::SandboxState,
};
use std::{
    cmp::Reverse,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What of a command's folder tells how it ended, and for what request: kept as long as its sandbox.
const RESULT: [&str; 2] = ["status", "fingerprint"];
/// How long output is there whatever the bound says: whoever waited for the end reads it then.
const SHORTEST: Duration = Duration::from_secs(60);

/// Output of one ended command.
struct Output {
    ended_at: SystemTime,
    bytes: u64,
    folder: PathBuf,
}

/// Removes what is older than the retention, then the oldest above the bound; says how many bytes that gave back.
pub(super) fn collect(inner: &Inner) -> Result<u64> {
    let (now, mut freed, mut kept) = (SystemTime::now(), 0, 0);
    for output in newest_first(inner)? {
        let age = now.duration_since(output.ended_at).unwrap_or_default();
        kept += output.bytes;
        if age >= inner.config.output_retention || (kept > inner.config.output_bound && age >= SHORTEST) {
            remove(&output.folder)?;
            freed += output.bytes;
        }
    }
    Ok(freed)
}

fn newest_first(inner: &Inner) -> Result<Vec<Output>> {
    let mut all = Vec::new();
    for row in inner.store.with_folder()? {
        let over = match &row.info.state {
            SandboxState::Ended(end) => Some(end.at),
            _ => None,
        };
        let execs = fs::read_dir(inner.store.sandbox_dir(&row.info.id).join("execs"));
        // A folder that cannot be read has been removed since.
        for exec in execs.into_iter().flatten().flatten() {
            all.extend(output(exec.path(), over));
        }
    }
    all.sort_by_key(|output| Reverse(output.ended_at));
    Ok(all)
}

/// The output of a command that has ended, by itself or with its sandbox; nothing when none is left. Its agent says when it ended, which
/// is believed up to now.
fn output(folder: PathBuf, over: Option<SystemTime>) -> Option<Output> {
    let status = Status::open(&folder).ok().flatten()?;
    let ended_at = status.state(over).ended_at?.min(SystemTime::now());
    let files: Vec<_> = entries(&folder).ok()?.into_iter().flat_map(fs::symlink_metadata).collect();
    let bytes = files.iter().map(|file| file.blocks() * 512).sum();
    (!files.is_empty()).then_some(Output { ended_at, bytes, folder })
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let all = fs::read_dir(folder)?.flatten();
    Ok(all
        .filter(|entry| RESULT.iter().all(|name| entry.file_name() != *name))
        .map(|entry| entry.path())
        .collect())
}

/// Removes the output; who reads it just now has it open and reads on.
fn remove(folder: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("cannot remove output in {}", folder.display()), e);
    let mut files = entries(folder).map_err(failed)?;
    // Spools first: what of them is off the disk is told until they are gone.
    files.sort_by_key(|file| file.extension().is_some());
    for file in files {
        match fs::remove_file(file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
    }
    Ok(())
}
