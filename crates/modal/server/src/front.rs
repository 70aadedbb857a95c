//! The one entry of every call: which service, who calls, by when, and the extra trailers of the answer.

use crate::{
    control::Control,
    deadline::Deadline,
    router::{Router, input::RawBody},
    shared::{RouterSubject, Shared},
    trailers,
};
use http::HeaderValue;
use openlattice_modal_proto::{
    client::modal_client_server::{ModalClientServer, SERVICE_NAME as CONTROL},
    task_command_router::task_command_router_server::{SERVICE_NAME as ROUTER, TaskCommandRouterServer},
};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tonic::{Status, body::Body, codegen::Service};

/// Longest message in either direction; clients allow as much.
const MESSAGE_LIMIT: usize = 100 << 20;

/// Longest error text, percent-encoded.
const TEXT_LIMIT: usize = 2048;

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// Both services behind their checks.
#[derive(Clone)]
pub(crate) struct Front {
    shared: Arc<Shared>,
    control: ModalClientServer<Control>,
    router: TaskCommandRouterServer<Router>,
}

impl Front {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let control = ModalClientServer::new(Control(shared.clone()))
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let router = TaskCommandRouterServer::new(Router(shared.clone()))
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        Self { shared, control, router }
    }

    /// Checks the caller and hands the request to its service.
    fn dispatch(&mut self, mut request: http::Request<Body>) -> Result<Answer, Status> {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        if service == CONTROL {
            self.shared.guard.control(request.headers())?;
            Ok(Box::pin(self.control.call(request)))
        } else if service == ROUTER {
            let subject = self.shared.guard.router(request.headers())?;
            request.extensions_mut().insert(RouterSubject(subject));
            if request.uri().path() == RawBody::PATH {
                request = RawBody::divert(request);
            }
            Ok(Box::pin(self.router.call(request)))
        } else {
            Err(Status::unimplemented(format!("no service {service:?} here")))
        }
    }
}

/// Names a call that the services do not know, whose answer says nothing otherwise.
fn name_unknown(mut answer: http::Response<Body>, path: &str) -> http::Response<Body> {
    let unimplemented = answer.headers().get("grpc-status").is_some_and(|status| status == "12");
    if unimplemented && !answer.headers().contains_key("grpc-message") {
        let text = format!("{} is not supported by this server: see what differs from Modal", name_of(path));
        if let Ok(text) = HeaderValue::try_from(text) {
            answer.headers_mut().insert("grpc-message", text);
        }
    }
    answer
}

/// Reports the beginning of an answer: all of one that has no stream.
fn report<B>(path: &str, answer: &http::Response<B>, start: Instant) {
    tracing::debug!(
        call = name_of(path),
        // A good answer says so at its end only.
        status = answer.headers().get("grpc-status").and_then(|status| status.to_str().ok()).unwrap_or("0"),
        duration_us = start.elapsed().as_micros(),
        "answered"
    );
}

/// The letters and digits of a call's name.
fn name_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// Keeps an error text short enough for clients' bounds on headers, whatever long value of the request it repeats.
fn shorten_message(mut answer: http::Response<Body>) -> http::Response<Body> {
    if let Some(text) = answer.headers().get("grpc-message")
        && text.len() > TEXT_LIMIT
        && let Ok(short) = HeaderValue::from_bytes(shortened(text.as_bytes()))
    {
        answer.headers_mut().insert("grpc-message", short);
    }
    answer
}

/// The start of a percent-encoded text, cut between characters: after a byte that is not part of an escape.
fn shortened(text: &[u8]) -> &[u8] {
    let mut end = TEXT_LIMIT.min(text.len());
    while end >= 3 && text[end - 3..end].contains(&b'%') {
        end -= 1;
    }
    &text[..end]
}

impl Service<http::Request<Body>> for Front {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let mut request = match &self.shared.recorder {
            Some(recorder) => recorder.tap(request),
            None => request,
        };
        let deadline = Deadline::read(request.headers());
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let uri = request.uri().clone();
        let start = Instant::now();
        let answer = match self.dispatch(request) {
            Ok(answer) => answer,
            Err(status) => {
                let refused = status.into_http();
                report(uri.path(), &refused, start);
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
        Box::pin(async move {
            let answer = tokio::select! {
                biased;
                answer = answer => answer.map(|answer| {
                    shorten_message(trailers::attach(name_unknown(answer, uri.path())))
                })?,
                () = Deadline::passed(deadline) => Deadline::status().into_http(),
            };
            report(uri.path(), &answer, start);
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened(b"a%20b"), b"a%20b");
        let long = [&b"x".repeat(TEXT_LIMIT - 4)[..], b"%E2%82%AC", b"end"].concat();
        assert_eq!(shortened(&long), &long[..TEXT_LIMIT - 4]);
        assert_eq!(shortened(&b"x".repeat(TEXT_LIMIT + 1)).len(), TEXT_LIMIT);
    }
}
