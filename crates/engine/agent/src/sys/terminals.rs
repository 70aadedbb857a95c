//! Terminals.

use super::{Fd, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR, Result, address, at, call, open, owned};
use crate::arch::nr;

/// Opens a new terminal: its master, which never waits, and its line. `terminals` is the root of a devpts.
///
/// Neither goes by a name that somebody inside could have replaced: nothing can be made or removed in a devpts, and the line is opened
/// from the master.
pub(crate) fn open_terminal(terminals: &Fd) -> Result<(Fd, Fd)> {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    let master = open(terminals.raw(), c"ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)?;
    call(nr::IOCTL, [at(master.raw()), TIOCSPTLCK, address(&0i32), 0, 0, 0])?;
    let flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    let line = owned(call(nr::IOCTL, [at(master.raw()), TIOCGPTPEER, flags, 0, 0, 0]))?;
    Ok((master, line))
}

/// Sets the size; the processes in the foreground get SIGWINCH when it changes.
pub(crate) fn set_size(terminal: i32, rows: u16, columns: u16) -> Result<()> {
    const TIOCSWINSZ: usize = 0x5414;
    // struct winsize: rows, columns, and two sizes in pixels that nobody knows.
    let size = [rows, columns, 0, 0];
    call(nr::IOCTL, [at(terminal), TIOCSWINSZ, address(&size), 0, 0, 0]).map(drop)
}

/// Makes a terminal the controlling one of the calling session leader, which has none.
pub(crate) fn set_controlling(terminal: i32) -> Result<()> {
    const TIOCSCTTY: usize = 0x540e;
    call(nr::IOCTL, [at(terminal), TIOCSCTTY, 0, 0, 0, 0]).map(drop)
}
