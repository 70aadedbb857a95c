//! Moving input from its spool to the command's pipe or terminal.

use crate::exec::Input;
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
    hand_over(server, index);
    let input = &mut server.execs[index].input;
    forget(input, input.offset);
}

/// Takes input up to `end` off the disk: it may have been a secret. Offsets stay, and so does the input where the file system cannot.
fn forget(input: &mut Input, end: u64) {
    /// A block of any file system. One of which a part was taken before is freed with the rest of it only.
    const BLOCK: u64 = 64 << 10;
    if end > input.forgotten {
        let start = input.forgotten / BLOCK * BLOCK;
        let _ = sys::punch(input.spool.raw(), start, end - start);
        input.forgotten = end;
    }
}

/// The command has ended: what it did not read goes too.
pub(crate) fn forget_all(input: &mut Input) {
    if input.spool.is_some() {
        let length = sys::stat(input.spool.raw()).map_or(0, |stat| stat.size);
        forget(input, length);
    }
}

fn hand_over(server: &mut Server, index: usize) {
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
            Ok(n) => {
                input.offset += n as u64;
                input.within_line = n > 0 && buffer[n - 1] != b'\n';
            }
            Err(Errno::EAGAIN) => return arm(server, index, true),
            Err(_) => return close(server, index),
        }
    }
}

/// Nobody reads it any more: what waits goes off the disk, which also wakes who waits to write more.
fn close(server: &mut Server, index: usize) {
    server.unwatch(index, Kind::Stdin);
    forget_all(&mut server.execs[index].input);
}

/// All is handed over: close at the end, else wait for more.
fn settle(server: &mut Server, index: usize) {
    let exec = &server.execs[index];
    if !exec.input.eof {
        arm(server, index, false);
    } else if exec.terminal.is_some() {
        type_end(server, index);
    } else {
        server.unwatch(index, Kind::Stdin);
    }
}

/// Types the end of input as somebody at the terminal would: once, and once more within a line, which the first only hands over.
fn type_end(server: &mut Server, index: usize) {
    const END_OF_FILE: u8 = 4;
    loop {
        let input = &mut server.execs[index].input;
        match sys::write(input.pipe.raw(), &[END_OF_FILE]) {
            Ok(_) if input.within_line => input.within_line = false,
            Err(Errno::EAGAIN) => return arm(server, index, true),
            // The terminal stays open for its output.
            _ => return server.unwatch(index, Kind::Stdin),
        }
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
        close(server, index);
    } else {
        feed(server, index);
    }
}
