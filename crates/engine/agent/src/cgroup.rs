//! The v2 group of each command, and the count of memory kills.

use crate::protocol::MAX_EXEC_ID;
use crate::sys::{self, Errno, Fd, Result};
use core::ffi::CStr;

/// An exec id as a file name.
struct Name([u8; MAX_EXEC_ID + 1]);

impl Name {
    fn of(id: &[u8]) -> Self {
        let mut name = [0; MAX_EXEC_ID + 1];
        let len = id.len().min(MAX_EXEC_ID);
        name[..len].copy_from_slice(&id[..len]);
        Self(name)
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

/// Makes the group of an exec below `work`.
pub(crate) fn create(work: &Fd, id: &[u8]) -> Result<Fd> {
    let name = Name::of(id);
    match sys::mkdir(work.raw(), name.text(), 0o755) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    sys::open(work.raw(), name.text(), sys::O_PATH | sys::O_DIRECTORY)
}

/// Removes the group of an exec; false when processes are left in it.
pub(crate) fn remove(work: &Fd, id: &[u8]) -> bool {
    sys::rmdir(work.raw(), Name::of(id).text()).is_ok()
}

/// Kills all that is in a group.
pub(crate) fn kill(group: &Fd) -> Result<()> {
    let file = sys::open(group.raw(), c"cgroup.kill", sys::O_WRONLY)?;
    sys::write(file.raw(), b"1").map(drop)
}

/// Memory kills so far, from `memory.oom_control` (v1) or `memory.events` (v2); 0 without a file.
pub(crate) fn oom_kills(events: &Fd) -> u64 {
    let mut buffer = [0u8; 512];
    if !events.is_some() {
        return 0;
    }
    let len = sys::pread(events.raw(), &mut buffer, 0).unwrap_or(0);
    let lines = buffer[..len].split(|byte| *byte == b'\n');
    let value = lines.filter_map(|line| line.strip_prefix(b"oom_kill ")).next().unwrap_or_default();
    value
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |n: u64, byte| n.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
}
