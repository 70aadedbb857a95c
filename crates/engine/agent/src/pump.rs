//! Moving output from pipes and terminals to spools.

use crate::exec::{State, Stream};
use crate::hold;
use crate::protocol::flag;
use crate::serve::{Kind, Server};
use crate::sys::{self, Errno};

/// Bytes moved at a time: what a pipe holds.
pub(crate) const CHUNK: usize = 64 << 10;
/// Chunks per event, so that one loud command does not keep the others waiting.
const ROUNDS: usize = 4;

/// Output number `which` is readable, or has ended.
pub(crate) fn readable(server: &mut Server, index: usize, which: usize) {
    for _ in 0..ROUNDS {
        let exec = &mut server.execs[index];
        let Some(most) = hold::room(&mut exec.output[which], &exec.bounds, CHUNK) else {
            return hold::hold(server, index, which);
        };
        match take(server, index, which, most) {
            Taken::Some(n) if n < most => return,
            Taken::Some(_) => {}
            Taken::Nothing => return,
            Taken::End => {
                server.unwatch(index, if which == 0 { Kind::Stdout } else { Kind::Stderr });
                server.settle(index);
                return;
            }
        }
    }
}

/// Takes what the pipes of an ended command hold, and no more: somebody it left behind may write for ever. A terminal does not
/// tell all that it holds, but holds less than a chunk.
pub(crate) fn drain(server: &mut Server, index: usize) {
    for which in 0..2 {
        let exec = &server.execs[index];
        let pipe = &exec.output[which].pipe;
        let mut left = match pipe.is_some() {
            false => 0,
            true if exec.terminal.is_some() => CHUNK,
            true => sys::waiting(pipe.raw()).unwrap_or(0),
        };
        while left > 0 {
            let exec = &mut server.execs[index];
            let stream = &mut exec.output[which];
            let most = hold::room(stream, &exec.bounds, left.min(CHUNK)).unwrap_or_else(|| {
                // There is no later, so what a reader would be waited for is kept.
                stream.room = left.min(CHUNK) as u64;
                left.min(CHUNK)
            });
            match take(server, index, which, most) {
                Taken::Some(n) => left -= n,
                Taken::Nothing | Taken::End => break,
            }
        }
    }
}

enum Taken {
    Some(usize),
    Nothing,
    End,
}

fn take(server: &mut Server, index: usize, which: usize, most: usize) -> Taken {
    let exec = &mut server.execs[index];
    let stream = &mut exec.output[which];
    let buffer = &mut server.buffer.bytes_mut()[..most];
    match sys::read(stream.pipe.raw(), buffer) {
        Ok(0) => Taken::End,
        Ok(n) => {
            server.buffer_touched |= n;
            if exec.state != State::Lingering {
                keep(stream, &buffer[..n], &mut exec.flags, which);
            }
            Taken::Some(n)
        }
        Err(Errno::EAGAIN) => Taken::Nothing,
        Err(_) => Taken::End,
    }
}

/// Appends to the spool as far as there is room, or until the disk is full; the rest is counted.
fn keep(stream: &mut Stream, bytes: &[u8], flags: &mut u32, which: usize) {
    if !stream.spool.is_some() {
        // The output of a terminal that nobody wants.
        return;
    }
    let room = if stream.dropped > 0 { 0 } else { usize::try_from(stream.room).unwrap_or(usize::MAX) };
    let room = room.min(bytes.len());
    let mut written = 0;
    while written < room {
        match sys::pwrite(stream.spool.raw(), &bytes[written..room], stream.len + written as u64) {
            Ok(n) if n > 0 => written += n,
            Err(Errno::EFBIG) => {
                *flags |= flag::FILE_LIMIT << which;
                break;
            }
            _ => {
                *flags |= flag::DISK_FULL << which;
                break;
            }
        }
    }
    stream.len += written as u64;
    stream.room -= room as u64;
    stream.dropped += (bytes.len() - written) as u64;
}
