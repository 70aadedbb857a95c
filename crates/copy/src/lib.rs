//! Copies of whole directories between this machine and a node of any provider.
//!
//! [`upload`] copies a local directory into a node, [`download`] one of a node to this machine; [`upload_file`] and
//! [`download_file`] copy single files. Both ways:
//!
//! - Content is byte-exact and streamed: memory is bounded by the number of files under way, whatever their size.
//! - Empty directories are copied. Symbolic links are copied as links and never followed.
//! - Permission bits (`0o777`) are kept. Where a provider cannot set modes or make links itself, commands of the node do (`chmod`,
//!   `ln`); what they cannot do is counted.
//! - A file has its name when it is complete, and not before.
//! - Devices, fifos, sockets, and names that are no text or have control characters are left out, counted and named.
//!
//! Nothing is ever written outside of the local target: each path is opened component by component, with no link followed, and what a
//! node says of its files is taken for hostile.
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
mod report;
mod single;
mod upload;

pub use download::download;
pub use report::{CopyOptions, CopyReport, SkipReason, Skipped};
pub use single::{download_file, upload_file};
pub use upload::upload;

use openlattice::{Error, ErrorKind, Result};

/// What errors name as the operation.
const OPERATION: &str = "copy";
/// Directories below directories that are followed.
const DEPTH: usize = 256;
/// Entries of one copy.
const ENTRIES: u64 = 1 << 20;

/// Joins a name to a path in a node.
fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

/// A name that can be shown and passed on as it is.
fn is_plain(name: &str) -> bool {
    !name.chars().any(|letter| letter.is_control() || letter == char::REPLACEMENT_CHARACTER)
}

/// Refuses trees that a mistake or malice made too large.
fn check_bounds(depth: usize, entries: u64, path: &str) -> Result<()> {
    if depth <= DEPTH && entries <= ENTRIES {
        return Ok(());
    }
    let text =
        format!("{path:?} is deeper than {DEPTH} directories, or the tree has more than {ENTRIES} entries");
    let hint = "copy parts of the tree, or an archive of it";
    Err(Error::new(ErrorKind::ResourceExhausted, OPERATION, text).with_hint(hint))
}

/// A failure of this machine.
fn local_error(what: &str, path: &std::path::Path, error: std::io::Error) -> Error {
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
