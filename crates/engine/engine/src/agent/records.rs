//! Packets and records on the engine's side.

use crate::protocol::{Header, MAX_FDS, MAX_PACKET};
use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

const HEADER: usize = size_of::<Header>();

/// Records being put together, after a header when it is a packet.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A packet.
    pub(crate) fn packet(op: u32, seq: u32) -> Self {
        let words = [op, seq, 0, 0];
        Self(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// Adds a record.
    pub(crate) fn bytes(mut self, tag: u32, content: &[u8]) -> Self {
        let len = u32::try_from(content.len())
            .expect("records are bounded by MAX_BODY, which is checked where they are sent");
        self.0.extend(tag.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a number.
    pub(crate) fn u32(self, tag: u32, value: u32) -> Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    /// Adds a number.
    pub(crate) fn u64(self, tag: u32, value: u64) -> Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    /// Adds strings, each ended by NUL; none must contain one.
    pub(crate) fn strings<S: AsRef<[u8]>>(self, tag: u32, strings: impl IntoIterator<Item = S>) -> Self {
        let mut content = Vec::new();
        for string in strings {
            content.extend(string.as_ref());
            content.push(0);
        }
        self.bytes(tag, &content)
    }

    /// What was put together.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A received packet. What is in it is hostile.
pub(crate) struct Packet {
    /// Its header.
    pub(crate) header: Header,
    records: Vec<u8>,
    /// Its descriptors.
    pub(crate) fds: Vec<OwnedFd>,
}

impl Packet {
    /// Takes a packet apart; `None` when it is no packet.
    fn parse(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Self> {
        let (head, records) = bytes.split_at_checked(HEADER)?;
        let word = |i: usize| Some(u32::from_le_bytes(head.get(4 * i..4 * i + 4)?.try_into().ok()?));
        let header = Header { op: word(0)?, seq: word(1)?, errno: word(2)?.cast_signed(), stage: word(3)? };
        Some(Self { header, records: records.to_vec(), fds })
    }

    /// Content of the first record with `tag`.
    fn get(&self, tag: u32) -> Option<&[u8]> {
        let mut rest = self.records.as_slice();
        loop {
            let (found, after) = rest.split_first_chunk::<4>()?;
            let (len, after) = after.split_first_chunk::<4>()?;
            let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
            let content = after.get(..len)?;
            if u32::from_le_bytes(*found) == tag {
                return Some(content);
            }
            rest = after.get(len.checked_next_multiple_of(4)?..)?;
        }
    }

    /// A number, `None` when absent or of another size.
    pub(crate) fn u32(&self, tag: u32) -> Option<u32> {
        self.get(tag)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// A number, `None` when absent or of another size.
    pub(crate) fn u64(&self, tag: u32) -> Option<u64> {
        self.get(tag)?.try_into().ok().map(u64::from_le_bytes)
    }
}

/// Sends one packet with its descriptors, at once or not at all.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if packet.len() > MAX_PACKET || (!fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds))) {
        return Err(Errno::MSGSIZE);
    }
    sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags | SendFlags::NOSIGNAL).map(drop)
}

/// Receives one packet; `None` when the other side hung up, `EPROTO` when it is none of ours.
pub(crate) fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> rustix::io::Result<Option<Packet>> {
    let mut bytes = [0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        flags | RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::PROTO);
    }
    let packet = bytes.get(..message.bytes).and_then(|bytes| Packet::parse(bytes, fds));
    packet.map(Some).ok_or(Errno::PROTO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tag;

    #[test]
    fn records_survive_the_way() {
        let bytes = Writer::packet(7, 9)
            .bytes(tag::EXEC_ID, b"abcde")
            .u32(tag::EOF, 1)
            .u64(tag::LENGTH, 1 << 40)
            .finish();
        assert_eq!(bytes.len() % 4, 0);
        let packet = Packet::parse(&bytes, Vec::new()).unwrap();
        assert_eq!((packet.header.op, packet.header.seq), (7, 9));
        assert_eq!(packet.get(tag::EXEC_ID).unwrap(), b"abcde");
        assert_eq!((packet.u32(tag::EOF), packet.u64(tag::LENGTH)), (Some(1), Some(1 << 40)));
        assert_eq!(packet.u32(tag::LENGTH), None, "a number of another size was taken");
    }

    #[test]
    fn broken_records_are_absent() {
        let mut bytes = Writer::packet(1, 1).u32(tag::EOF, 1).finish();
        for cut in HEADER..bytes.len() {
            assert_eq!(Packet::parse(&bytes[..cut], Vec::new()).unwrap().u32(tag::EOF), None);
        }
        bytes[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Packet::parse(&bytes, Vec::new()).unwrap().u32(tag::EOF), None);
        assert!(Packet::parse(&bytes[..HEADER - 1], Vec::new()).is_none());
    }
}
