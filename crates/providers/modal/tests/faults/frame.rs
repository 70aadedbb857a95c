//! Frames of HTTP/2, as far as their nine-byte header tells: length, kind, flags and stream.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client sends before its first frame.
pub(crate) const PREFACE: usize = 24;
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// One frame as it came, or the preface, whose bytes read as a frame of no known kind.
#[derive(Debug)]
pub(crate) struct Frame(pub(crate) Vec<u8>);

impl Frame {
    /// Says whether it holds a piece of a message.
    pub(crate) fn is_data(&self) -> bool {
        self.kind() == DATA
    }

    /// Gives the stream whose headers these are: a call or its reply begins, or a reply ends.
    pub(crate) fn headers_of(&self) -> Option<u32> {
        (self.kind() == HEADERS).then(|| self.stream())
    }

    /// Gives the stream that ends on this side with the frame.
    pub(crate) fn end_of(&self) -> Option<u32> {
        let can_end = matches!(self.kind(), DATA | HEADERS);
        (can_end && self.0[4] & END_STREAM != 0).then(|| self.stream())
    }

    /// Says whether it is a piece of a call or reply on a stream.
    pub(crate) fn is_of(&self, stream: u32) -> bool {
        matches!(self.kind(), DATA | HEADERS) && self.stream() == stream
    }

    fn kind(&self) -> u8 {
        self.0[3]
    }

    fn stream(&self) -> u32 {
        u32::from_be_bytes([self.0[5] & 0x7f, self.0[6], self.0[7], self.0[8]])
    }
}

/// Reads so many bytes as a frame; nothing at the end of the connection.
pub(crate) async fn exactly(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Option<Frame>> {
    let mut bytes = vec![0; length];
    match from.read_exact(&mut bytes).await {
        Ok(_) => Ok(Some(Frame(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the next frame; nothing at the end of the connection.
pub(crate) async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let Some(Frame(mut bytes)) = exactly(from, HEADER).await? else { return Ok(None) };
    let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
    let Some(Frame(payload)) = exactly(from, length).await? else { return Ok(None) };
    bytes.extend_from_slice(&payload);
    Ok(Some(Frame(bytes)))
}

/// Writes the frame of an answer that is nothing but a status. Its header fields refer to no table, so that a client whose
/// table has other entries reads the same.
pub(crate) fn status(stream: u32, code: i32, details: Option<&str>) -> Vec<u8> {
    const STATUS_200: u8 = 0x88;
    let mut block = vec![STATUS_200];
    let code = code.to_string();
    let fields = [
        Some(("content-type", "application/grpc")),
        Some(("grpc-status", code.as_str())),
        Some(("grpc-message", "injected")),
        details.map(|details| ("grpc-status-details-bin", details)),
    ];
    for (name, value) in fields.into_iter().flatten() {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    let length = u8::try_from(block.len()).expect("the fields are short");
    let mut frame = vec![0, 0, length, HEADERS, END_STREAM | 4];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&block);
    frame
}

/// Appends a text without compression, whose length fits into seven bits.
fn text(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a text is short"));
    block.extend_from_slice(text.as_bytes());
}
