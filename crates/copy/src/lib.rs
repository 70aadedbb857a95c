//! Copies of files and whole directories between this machine and a sandbox of any provider.
//!
//! [`upload`] copies a local directory into a sandbox, [`download`] one of a sandbox to this machine; [`upload_file`] and
//! [`download_file`] copy single files; [`pack`] and [`unpack`] are the same with a tar archive instead of this machine's files.
//! All ways:
//!
//! - Content is byte-exact and streamed: memory is bounded by the number of files under way, whatever their size. Holes of sparse
//!   files stay holes, and blocks of zeros become some.
//! - Empty directories are copied. Symbolic links are copied as links and never followed. Hard links become files of their own.
//! - Permission bits, the sticky bit and times of last change are kept, these to the nanosecond where the provider tells them so.
//!   Set-id bits are kept into a sandbox; out of one they are dropped and counted, as they would give away the rights of whoever
//!   copies. Owners are not kept: what is copied belongs to whoever copies it, or to the sandbox's root.
//! - Names are bytes. Those that are not UTF-8 are left out where the provider has no such names.
//! - Where a provider cannot set modes and times or make links itself, commands of the sandbox do (`chmod`, `touch`, `ln`).
//! - A file has its name when it is complete, and not before. Whoever is killed leaves nothing behind after the next copy to the
//!   same place; any number of processes may copy to one place at once.
//! - Devices, fifos and sockets are left out. Whatever is left out or not kept is counted, and what is left out is named.
//!
//! Nothing is ever written outside of the local target: each path is opened component by component, with no link followed, and what a
//! sandbox or an archive says of its files is taken for hostile. What lies at a local target is only replaced if it is a regular
//! file. Within a copied directory all else stays and what should have been there is left out; the target of a single file is
//! written through instead, as cp(1) does it.
//!
//! ```
//! use std::path::Path;
//! use openlattice::{Node, Result};
//! use openlattice_copy::{CopyOptions, download, upload};
//!
//! async fn there_and_back(node: &Node) -> Result<()> {
//!     let options = CopyOptions::default().with_progress(|so_far| println!("{} bytes", so_far.bytes));
//!     let report = upload(node, Path::new("./project"), "/srv/project", &options).await?;
//!     assert_eq!(report.skipped, 0, "{:?}", report.skipped_paths);
//!     download(node, "/srv/project/target", Path::new("./results"), &options).await?;
//!     Ok(())
//! }
//! ```

mod commands;
mod download;
mod local;
mod pack;
mod report;
mod sandbox;
mod single;
mod unpack;
mod upload;

pub use download::download;
pub use pack::pack;
pub use report::{CopyOptions, CopyReport, SkipReason, Skipped};
pub use sandbox::stat_through_links;
pub use single::{download_file, upload_file};
pub use unpack::unpack;
pub use upload::upload;

use std::ffi::OsStr;
use std::path::Path;

use openlattice::{Error, ErrorKind, Result};

/// What errors name as the operation.
const OPERATION: &str = "copy";
/// Directories below directories that are followed.
const DEPTH: usize = 256;
/// Entries of one copy.
const ENTRIES: u64 = 1 << 20;

/// A name that every provider has.
fn is_text(name: &OsStr) -> bool {
    name.to_str().is_some()
}

/// Refuses trees that a mistake or malice made too large.
fn check_bounds(depth: usize, entries: u64, path: &Path) -> Result<()> {
    if depth <= DEPTH && entries <= ENTRIES {
        return Ok(());
    }
    let text =
        format!("{path:?} is deeper than {DEPTH} directories, or the tree has more than {ENTRIES} entries");
    let hint = "copy parts of the tree, or an archive of it";
    Err(Error::new(ErrorKind::ResourceExhausted, OPERATION, text).with_hint(hint))
}

/// A failure of this machine.
fn local_error(what: &str, path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let kind = match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::PermissionDenied => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::ResourceExhausted,
        Io::NotADirectory | Io::IsADirectory | Io::DirectoryNotEmpty => ErrorKind::FailedPrecondition,
        _ => ErrorKind::Internal,
    };
    let text = format!("cannot {what} {} on this machine", path.display());
    Error::new(kind, OPERATION, text).with_context("localPath", path.display()).with_source(error)
}
