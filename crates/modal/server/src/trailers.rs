//! Extra trailers on successful replies, which tonic has no place for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use openlattice_engine::{DropReason, ExecState, OutputStream};
use std::{
    fmt::Write as _,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tonic::{Response, Status, body::Body};

/// Trailer in which a client is told something that its user should see once.
const WARNING: HeaderName = HeaderName::from_static("x-modal-warning");
/// Why a command was killed: `timeout`, `oom` or `sandbox-ended`. Modal's clients ignore it.
pub(crate) const END: HeaderName = HeaderName::from_static("x-openlattice-end");
/// Bytes of output that were dropped, `stdout=N` or `stderr=N`. Modal's clients ignore it.
const DROPPED: HeaderName = HeaderName::from_static("x-openlattice-dropped");
/// Why they were, where it was not the quota: `stdout=disk-full` or `stdout=file-limit`. Modal's clients ignore it.
const DROP_REASON: HeaderName = HeaderName::from_static("x-openlattice-drop-reason");

/// Trailers of one reply; clones share them, so that a stream can add some until its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    /// Adds a value of plain ASCII.
    pub(crate) fn add(&self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).append(name, value);
        }
    }

    /// Adds what of a stream was dropped, if something was.
    pub(crate) fn tell_dropped(&self, state: &ExecState, stream: OutputStream) {
        let Some((bytes, reason)) = state.dropped(stream) else { return };
        let name = stream.as_str();
        self.add(DROPPED, &format!("{name}={bytes}"));
        match reason {
            DropReason::DiskFull => self.add(DROP_REASON, &format!("{name}=disk-full")),
            DropReason::FileLimit => self.add(DROP_REASON, &format!("{name}=file-limit")),
            _ => {}
        }
    }

    /// Adds a text for the user, percent-encoded.
    pub(crate) fn warn(&self, text: &str) {
        self.add(WARNING, &percent_encoded(text));
    }

    /// Puts these trailers on a reply.
    pub(crate) fn on<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// Everything but letters, digits and `-._~ ` is encoded; the comma too, because one client splits there.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~ ".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

/// Makes the trailers that a handler put on its reply part of the body.
pub(crate) fn attach(response: http::Response<Body>) -> http::Response<Body> {
    match response.extensions().get::<Trailers>().cloned() {
        Some(extra) => response.map(|inner| Body::new(WithTrailers { inner, extra })),
        None => response,
    }
}

struct WithTrailers {
    inner: Body,
    extra: Trailers,
}

impl http_body::Body for WithTrailers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        polled.map_ok(|frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                let extra = self.extra.0.lock().unwrap_or_else(PoisonError::into_inner);
                trailers.extend(extra.clone());
                Frame::trailers(trailers)
            }
            Err(data) => data,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_survive_a_split_at_commas() {
        assert_eq!(percent_encoded("a, b: 5% é"), "a%2C b%3A 5%25 %C3%A9");
    }
}
