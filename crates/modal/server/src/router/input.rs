//! The messages of an input stream, read from the request's body itself.
//!
//! tonic's decoder copies every byte once more into a buffer of its own; for a file of 256 MiB that was a sixth of the server's
//! processor time. Here a piece of content that came in one frame stays where the connection put it.

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body as _;
use openlattice_modal_proto::task_command_router::{
    TaskExecStdinWriteStreamRequest, task_exec_stdin_write_stream_request::Payload,
};
use prost::Message;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};
use tonic::{Request, Status, body::Body};

/// What comes before each message: a byte of flags and four of length.
const HEADER: usize = 5;
/// Longest message; clients send 256 KiB at once, and may send as much as in any other message.
const LIMIT: usize = 100 << 20;

/// The body of a request, taken out before tonic reads it; carried in the request's extensions.
#[derive(Clone)]
pub(crate) struct RawBody(Arc<Mutex<Option<Body>>>);

impl RawBody {
    /// The path of the call whose body is read here.
    pub(crate) const PATH: &str = "/modal.task_command_router.TaskCommandRouter/TaskExecStdinWriteStream";

    /// Moves a request's body to where [`Messages::of`] finds it.
    pub(crate) fn divert(request: http::Request<Body>) -> http::Request<Body> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Self(Arc::new(Mutex::new(Some(body)))));
        http::Request::from_parts(parts, Body::empty())
    }
}

/// The messages of one stream.
pub(super) struct Messages {
    body: Body,
    read: Chunks,
    /// Length of the message whose header was read.
    due: Option<usize>,
}

impl Messages {
    /// Takes the body of a diverted request.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let raw = request.extensions().get::<RawBody>();
        let body = raw.and_then(|raw| raw.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let body = body.ok_or_else(|| Status::internal("the stream's body was not diverted"))?;
        Ok(Self { body, read: Chunks::default(), due: None })
    }

    /// The next message's payload; nothing after the last. Cancel-safe: what was read stays for the next call.
    pub(super) async fn next(&mut self) -> Result<Option<Payload>, Status> {
        if self.due.is_none() {
            if !self.fill(HEADER).await? {
                return Ok(None);
            }
            self.due = Some(self.header()?);
        }
        let length = self.due.unwrap_or_default();
        if !self.fill(length).await? {
            return Err(broken_off());
        }
        self.due = None;
        let message = TaskExecStdinWriteStreamRequest::decode((&mut self.read).take(length));
        let message = message.map_err(|error| Status::invalid_argument(error.to_string()))?;
        message.payload.map(Some).ok_or_else(|| Status::invalid_argument("a message of an unknown kind"))
    }

    fn header(&mut self) -> Result<usize, Status> {
        if self.read.get_u8() != 0 {
            return Err(Status::unimplemented("compressed messages are not taken"));
        }
        let length = self.read.get_u32() as usize;
        if length > LIMIT {
            return Err(Status::out_of_range(format!(
                "a message of {length} bytes; at most {LIMIT} are taken"
            )));
        }
        Ok(length)
    }

    /// Reads until so many bytes are there; false when the body ends before the first of them.
    async fn fill(&mut self, wanted: usize) -> Result<bool, Status> {
        while self.read.remaining() < wanted {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            match frame.transpose()? {
                Some(frame) => self.read.push(frame.into_data().unwrap_or_default()),
                None if self.read.has_remaining() => return Err(broken_off()),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn broken_off() -> Status {
    Status::invalid_argument("the stream broke off within a message")
}

/// Bytes in the pieces in which they came.
#[derive(Default)]
struct Chunks {
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Chunks {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        self.length = self.length.checked_sub(count).expect("no more than there is");
        while let Some(first) = self.pieces.front_mut() {
            if count < first.len() {
                return first.advance(count);
            }
            count -= first.len();
            self.pieces.pop_front();
        }
    }

    /// Without a copy where all of it lies in one piece.
    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        if let Some(first) = self.pieces.front_mut().filter(|first| first.len() >= length) {
            let taken = first.slice(..length);
            self.advance(length);
            return taken;
        }
        let mut copied = BytesMut::with_capacity(length);
        while copied.len() < length {
            let part = self.chunk().len().min(length - copied.len());
            assert!(part > 0, "no more than there is");
            copied.extend_from_slice(&self.chunk()[..part]);
            self.advance(part);
        }
        copied.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;
    use openlattice_modal_proto::task_command_router::TaskExecStdinWriteStreamEnd;
    use std::task::Poll;

    /// A body of these pieces.
    struct Pieces(VecDeque<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn messages(pieces: impl IntoIterator<Item = Bytes>) -> Messages {
        let request = http::Request::new(Body::new(Pieces(pieces.into_iter().collect())));
        Messages::of(&Request::from_http(RawBody::divert(request))).unwrap()
    }

    fn on_wire(payloads: &[Payload]) -> Bytes {
        let mut wire = Vec::new();
        for payload in payloads {
            let message = TaskExecStdinWriteStreamRequest { payload: Some(payload.clone()) }.encode_to_vec();
            wire.push(0);
            wire.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            wire.extend(message);
        }
        wire.into()
    }

    fn sent() -> Vec<Payload> {
        let data = |text: &'static [u8]| Payload::Data(Bytes::from_static(text));
        vec![data(b"one"), data(b""), data(b"\0\xff"), Payload::End(TaskExecStdinWriteStreamEnd {})]
    }

    #[tokio::test]
    async fn messages_are_the_same_however_they_are_cut() {
        let wire = on_wire(&sent());
        for first in 0..=wire.len() {
            for second in first..=wire.len() {
                let pieces = [wire.slice(..first), wire.slice(first..second), wire.slice(second..)];
                let mut messages = messages(pieces);
                for payload in sent() {
                    assert_eq!(messages.next().await.unwrap(), Some(payload));
                }
                assert_eq!(messages.next().await.unwrap(), None);
            }
        }
    }

    #[tokio::test]
    async fn content_in_one_frame_is_not_copied() {
        let wire = on_wire(&sent()[..1]);
        let Some(Payload::Data(data)) = messages([wire.clone()]).next().await.unwrap() else { panic!() };
        assert!(wire.as_ptr_range().contains(&data.as_ptr()));
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let wire = on_wire(&sent()[..1]);
        for end in 1..wire.len() {
            assert!(messages([wire.slice(..end)]).next().await.is_err(), "{end}");
        }
        let compressed = Bytes::from_static(b"\x01\0\0\0\0");
        assert_eq!(messages([compressed]).next().await.unwrap_err().code(), tonic::Code::Unimplemented);
        let endless = Bytes::from_static(b"\0\xff\xff\xff\xff");
        assert_eq!(messages([endless]).next().await.unwrap_err().code(), tonic::Code::OutOfRange);
        assert!(messages([Bytes::from_static(b"\0\0\0\0\0")]).next().await.is_err());
    }
}
