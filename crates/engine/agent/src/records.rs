//! Records and packets: parsing that trusts nothing, and sending.

use crate::memory::Map;
use crate::protocol::{Header, MAX_BODY, MAX_FDS, MAX_PACKET};
use crate::sys::{self, Buffer, Errno, Fd, Message, Result};

const HEADER: usize = size_of::<Header>();
const CONTROL: usize = 16 + 4 * MAX_FDS;

/// Well-formed records.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    /// Checks the framing of all records.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest).ok_or(Errno::EPROTO)?.2;
        }
        Ok(Self(bytes))
    }

    /// Content of the first record with `tag`.
    pub(crate) fn get(&self, tag: u32) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let Some((found, content, next)) = split(rest) {
            if found == tag {
                return Some(content);
            }
            rest = next;
        }
        None
    }

    /// The same, nothing when absent.
    pub(crate) fn bytes(&self, tag: u32) -> &'a [u8] {
        self.get(tag).unwrap_or_default()
    }

    /// A number; absent: 0, of another size: `EPROTO`.
    pub(crate) fn u32(&self, tag: u32) -> Result<u32> {
        match self.get(tag) {
            None => Ok(0),
            Some(bytes) => bytes.try_into().map(u32::from_le_bytes).map_err(|_| Errno::EPROTO),
        }
    }

    /// A number; absent: 0, of another size: `EPROTO`.
    pub(crate) fn u64(&self, tag: u32) -> Result<u64> {
        match self.get(tag) {
            None => Ok(0),
            Some(bytes) => bytes.try_into().map(u64::from_le_bytes).map_err(|_| Errno::EPROTO),
        }
    }
}

/// First record (tag and content) and what follows it.
fn split(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let content = rest.get(..len)?;
    let next = rest.get(len.checked_next_multiple_of(4)?..)?;
    Some((u32::from_le_bytes(*tag), content, next))
}

/// Strings that end with NUL, one after the other.
pub(crate) fn strings(bytes: &[u8]) -> impl Iterator<Item = &core::ffi::CStr> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let string = core::ffi::CStr::from_bytes_until_nul(rest).ok()?;
        rest = &rest[string.to_bytes().len() + 1..];
        Some(string)
    })
}

/// Copies a file of records (a plan or a body) into memory of our own, so that nobody can change it any more.
pub(crate) fn read_file(fd: &Fd) -> Result<(Map, usize)> {
    let size = sys::stat(fd.raw())?.size as usize;
    if size > MAX_BODY {
        return Err(Errno::E2BIG);
    }
    let mut map = Map::new(size)?;
    let mut done = 0;
    while done < size {
        match sys::pread(fd.raw(), &mut map.bytes_mut()[done..size], done as u64)? {
            0 => return Err(Errno::EPROTO),
            n => done += n,
        }
    }
    Ok((map, size))
}

/// Descriptors that came with a packet; those not taken are closed.
pub(crate) struct Fds {
    raw: [i32; MAX_FDS],
    count: usize,
}

impl Fds {
    /// How many came.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes the one at `index`; none when it did not come or was taken.
    pub(crate) fn take(&mut self, index: usize) -> Fd {
        match self.raw[..self.count].get_mut(index) {
            Some(slot) => Fd::own(core::mem::replace(slot, 0)),
            None => Fd::NONE,
        }
    }
}

impl Drop for Fds {
    fn drop(&mut self) {
        for raw in &self.raw[..self.count] {
            drop(Fd::own(*raw));
        }
    }
}

/// A received packet.
pub(crate) struct Packet {
    bytes: [u8; MAX_PACKET],
    len: usize,
    /// Its descriptors.
    pub(crate) fds: Fds,
}

impl Packet {
    /// Receives one packet; `None` when the other side hung up.
    pub(crate) fn receive(socket: i32) -> Result<Option<Self>> {
        const TRUNCATED: usize = 0x20 | 0x8;
        let mut packet = Self { bytes: [0; MAX_PACKET], len: 0, fds: Fds { raw: [0; MAX_FDS], count: 0 } };
        let mut control = [0u64; CONTROL.div_ceil(8)];
        let buffer = Buffer { start: packet.bytes.as_mut_ptr() as usize, len: MAX_PACKET };
        let mut message = Message {
            name: 0,
            name_len: 0,
            buffers: core::ptr::from_ref(&buffer) as usize,
            buffer_count: 1,
            control: control.as_mut_ptr() as usize,
            control_len: CONTROL,
            flags: 0,
        };
        // SAFETY: the buffer, its bytes and the control array outlive the call and are not touched by others meanwhile.
        packet.len = unsafe { sys::recvmsg(socket, &mut message)? };
        packet.take_fds(&control, message.control_len);
        // msghdr.flags is an int; the four bytes after it are padding.
        if message.flags & TRUNCATED != 0 {
            return Err(Errno::EPROTO);
        }
        Ok(if packet.len == 0 { None } else { Some(packet) })
    }

    fn take_fds(&mut self, control: &[u64], len: usize) {
        const SOL_SOCKET_RIGHTS: u64 = 1 | 1 << 32;
        // struct cmsghdr: len (8 bytes), level, type; then the descriptors. The kernel gives all of them in one.
        if len < 16 || control[1] != SOL_SOCKET_RIGHTS {
            return;
        }
        let count = ((control[0] as usize).min(len) - 16) / 4;
        self.fds.count = count.min(MAX_FDS);
        for i in 0..self.fds.count {
            self.fds.raw[i] = (control[2 + i / 2] >> (32 * (i % 2))) as i32;
        }
    }

    /// Header and records.
    pub(crate) fn open(&self) -> Result<(Header, Records<'_>)> {
        let bytes = &self.bytes[..self.len];
        let (head, records) = bytes.split_at_checked(HEADER).ok_or(Errno::EPROTO)?;
        let word =
            |i: usize| u32::from_le_bytes([head[4 * i], head[4 * i + 1], head[4 * i + 2], head[4 * i + 3]]);
        let header = Header { op: word(0), seq: word(1), errno: word(2) as i32, stage: word(3) };
        Ok((header, Records::parse(records)?))
    }
}

/// A packet to send; small by construction.
pub(crate) struct Reply {
    bytes: [u8; 64],
    len: usize,
}

impl Reply {
    /// A packet without records.
    pub(crate) fn new(op: u32, seq: u32) -> Self {
        let mut reply = Self { bytes: [0; 64], len: HEADER };
        reply.put(0, &op.to_le_bytes());
        reply.put(4, &seq.to_le_bytes());
        reply
    }

    /// A refusal.
    pub(crate) fn failed(op: u32, seq: u32, errno: Errno, stage: u32) -> Self {
        let mut reply = Self::new(op, seq);
        reply.put(8, &errno.0.to_le_bytes());
        reply.put(12, &stage.to_le_bytes());
        reply
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn record(mut self, tag: u32, content: &[u8]) -> Self {
        let start = self.len;
        self.put(start, &tag.to_le_bytes());
        self.put(start + 4, &(content.len() as u32).to_le_bytes());
        self.put(start + 8, content);
        self.len = start + 8 + content.len();
        self
    }

    /// Adds a number.
    pub(crate) fn u32(self, tag: u32, value: u32) -> Self {
        self.record(tag, &value.to_le_bytes())
    }

    /// Adds a number.
    pub(crate) fn u64(self, tag: u32, value: u64) -> Self {
        self.record(tag, &value.to_le_bytes())
    }

    /// Sends it, with at most one descriptor (0: none).
    pub(crate) fn send(&self, socket: i32, fd: i32) -> Result<()> {
        const SOL_SOCKET_RIGHTS: u64 = 1 | 1 << 32;
        let control = [20u64, SOL_SOCKET_RIGHTS, u64::from(fd as u32)];
        let buffer = Buffer { start: self.bytes.as_ptr() as usize, len: self.len };
        let message = Message {
            name: 0,
            name_len: 0,
            buffers: core::ptr::from_ref(&buffer) as usize,
            buffer_count: 1,
            control: if fd > 0 { control.as_ptr() as usize } else { 0 },
            control_len: if fd > 0 { size_of_val(&control) } else { 0 },
            flags: 0,
        };
        // SAFETY: the buffer, its bytes and the control array outlive the call.
        unsafe { sys::sendmsg(socket, &message) }.map(drop)
    }
}
