//! Moving input from its spool to the command.

use crate::pump::CHUNK;
use crate::serve::{Kind, Server};
use crate::sys::{self, Errno, Result};

/// The spool holds `len` bytes, and no more will come if `eof`.
pub(crate) fn offer(server: &mut Server, index: usize, len: u64, eof: bool) -> Result<()> {
    let input = &mut server.execs[index].input;
    if !input.pipe.is_some() {
        return Err(Errno::EPIPE);
    }
    input.len = input.len.max(len);
    input.eof |= eof;
    feed(server, index);
    Ok(())
}

/// Hands over what the pipe takes.
pub(crate) fn feed(server: &mut Server, index: usize) {
    loop {
        let input = &mut server.execs[index].input;
        let left = input.len - input.offset;
        if left == 0 {
            return settle(server, index);
        }
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let buffer = &mut server.buffer.bytes_mut()[..most];
        let Ok(n @ 1..) = sys::pread(input.spool.raw(), buffer, input.offset) else {
            // Shorter than was said: the next STDIN request tries again.
            return arm(server, index, false);
        };
        server.buffer_touched |= n;
        match sys::write(input.pipe.raw(), &buffer[..n]) {
            Ok(n) => input.offset += n as u64,
            Err(Errno::EAGAIN) => return arm(server, index, true),
            Err(_) => return server.unwatch(index, Kind::Stdin),
        }
    }
}

/// All is handed over: close at the end, else wait for more.
fn settle(server: &mut Server, index: usize) {
    if server.execs[index].input.eof {
        server.unwatch(index, Kind::Stdin);
    } else {
        arm(server, index, false);
    }
}

/// Watches for room in the pipe, or stops watching.
fn arm(server: &mut Server, index: usize, wanted: bool) {
    if server.execs[index].input.armed != wanted {
        server.execs[index].input.armed = wanted;
        server.rewatch(index, Kind::Stdin, if wanted { sys::EPOLLOUT } else { 0 });
    }
}

/// The pipe has room, or nobody reads it any more.
pub(crate) fn writable(server: &mut Server, index: usize, events: u32) {
    if events & sys::EPOLLERR != 0 {
        server.unwatch(index, Kind::Stdin);
    } else {
        feed(server, index);
    }
}
