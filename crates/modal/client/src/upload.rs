//! Client streams whose content is not copied on its way to the connection.
//!
//! tonic's encoder copies every byte of a message into a buffer of its own; for a file of 256 MiB that was a third of our
//! processor time. Here a message's content goes to HTTP/2 as the slice that it is.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use openlattice_modal_proto::task_command_router::TaskExecStdinWriteStreamRequest;
use openlattice_modal_proto::task_command_router::task_exec_stdin_write_stream_request::Payload;
use prost::{Message, encode_length_delimiter, length_delimiter_len};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::Channel;

/// The key of a message's content: field 2 (protocol section 5.4), with a length before its bytes.
const DATA: u8 = 2 << 3 | 2;

const GROWS: &str = "a buffer that grows has room";

/// A connection that sends the body that was prepared for a request, where there is one, in place of tonic's.
#[derive(Debug, Clone)]
pub(crate) struct Transport(Channel);

impl Transport {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(body) = request.extensions_mut().remove::<Prepared>().and_then(Prepared::take) {
            *request.body_mut() = body;
        }
        self.0.call(request)
    }
}

/// A request's body, for its extensions.
#[derive(Clone)]
pub(crate) struct Prepared(Arc<Mutex<Option<Body>>>);

impl Prepared {
    /// Prepares the messages of an input stream.
    pub(crate) fn new(
        messages: impl Iterator<Item = TaskExecStdinWriteStreamRequest> + Send + Unpin + 'static,
    ) -> Self {
        let body = Body::new(Messages { messages, ready: VecDeque::new() });
        Self(Arc::new(Mutex::new(Some(body))))
    }

    fn take(self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The messages on their way: each as a head, and its content where it has some.
struct Messages<I> {
    messages: I,
    ready: VecDeque<Bytes>,
}

impl<I: Iterator<Item = TaskExecStdinWriteStreamRequest> + Unpin> http_body::Body for Messages<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ready.is_empty()
            && let Some(message) = self.messages.next()
        {
            self.ready.extend(on_wire(message));
        }
        Poll::Ready(self.ready.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A message in one or two pieces, together what tonic would send: a byte of flags, four of length, the message.
fn on_wire(message: TaskExecStdinWriteStreamRequest) -> impl Iterator<Item = Bytes> {
    let mut head = BytesMut::new();
    head.put_u8(0);
    let content = match message.payload {
        Some(Payload::Data(data)) if !data.is_empty() => {
            put_length(&mut head, 1 + length_delimiter_len(data.len()) + data.len());
            head.put_u8(DATA);
            encode_length_delimiter(data.len(), &mut head).expect(GROWS);
            Some(data)
        }
        payload => {
            let message = TaskExecStdinWriteStreamRequest { payload };
            put_length(&mut head, message.encoded_len());
            message.encode(&mut head).expect(GROWS);
            None
        }
    };
    std::iter::once(head.freeze()).chain(content)
}

fn put_length(head: &mut BytesMut, length: usize) {
    head.put_u32(u32::try_from(length).expect("a piece is far below 4 GiB"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use openlattice_modal_proto::task_command_router::{
        TaskExecStdinWriteStreamEnd, TaskExecStdinWriteStreamStart,
    };

    #[test]
    fn the_bytes_are_those_of_the_usual_encoder() {
        let start =
            TaskExecStdinWriteStreamStart { task_id: "ta-1".to_owned(), exec_id: "e".to_owned(), offset: 7 };
        let payloads = [
            Some(Payload::Start(start)),
            Some(Payload::Data(Bytes::from(vec![7; 300]))),
            Some(Payload::Data(Bytes::new())),
            Some(Payload::End(TaskExecStdinWriteStreamEnd {})),
            None,
        ];
        for payload in payloads {
            let message = TaskExecStdinWriteStreamRequest { payload };
            let encoded = message.encode_to_vec();
            let mut usual = vec![0];
            usual.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
            usual.extend(encoded);
            assert_eq!(on_wire(message).collect::<Vec<_>>().concat(), usual);
        }
    }

    #[test]
    fn content_is_not_copied() {
        let data = Bytes::from(vec![7; 300]);
        let message = TaskExecStdinWriteStreamRequest { payload: Some(Payload::Data(data.clone())) };
        assert_eq!(on_wire(message).last().unwrap().as_ptr(), data.as_ptr());
    }
}
