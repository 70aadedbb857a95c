//! Where the store is.

use std::env;
use std::path::PathBuf;

/// The default store: the system's for root, the user's own for others (XDG base directory specification).
pub(crate) fn default_state_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/openlattice");
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.unwrap_or_else(|| PathBuf::from("/var/tmp")).join("openlattice")
}
