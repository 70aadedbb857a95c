//! The log of a build as a stream that a client can take up again.

use super::{Streamed, by_id, restart};
use crate::{
    build::{Build, Outcome},
    deadline::{Deadline, seconds},
    result,
    shared::Shared,
    status,
};
use futures_util::stream::{self, StreamExt};
use openlattice_modal_proto::client::{
    FileDescriptor, ImageJoinStreamingRequest, ImageJoinStreamingResponse, TaskLogs,
};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};
use tonic::{Request, Status};

/// Most bytes of the log in one message.
const PIECE: usize = 64 << 10;

/// Streams the log of a build from where `last_entry_id` says, and then its result; ends without one when the timeout is over, after
/// which the client asks again. An image that is there has a result and no log. A build that was cut short is started again.
///
/// A build may be over before its client joins it; its log is given all the same, whatever `include_logs_for_finished` says, which
/// the official clients leave at false.
pub(in crate::control) async fn join(
    shared: &Arc<Shared>,
    request: Request<ImageJoinStreamingRequest>,
) -> Result<Streamed<ImageJoinStreamingResponse>, Status> {
    let deadline = Deadline::of(&request);
    let request = request.into_inner();
    let until = Instant::now() + Deadline::shorten(deadline, seconds(request.timeout));
    let id = request.image_id;
    let build = match shared.builds.get(&id) {
        Some(build) => build,
        None => match by_id(shared, &id).await {
            Ok(image) => {
                let message = ImageJoinStreamingResponse {
                    result: Some(result::success()),
                    metadata: Some(image.metadata()),
                    entry_id: "1-0".to_owned(),
                    eof: true,
                    ..Default::default()
                };
                return Ok(stream::once(std::future::ready(Ok(message))).boxed());
            }
            Err(missing) => restart(shared, &id).await?.ok_or(missing)?,
        },
    };
    let offset = place(&build, &request.last_entry_id);
    let follower = Follower {
        shared: Arc::clone(shared),
        id,
        changes: build.changes(),
        build,
        offset,
        until,
        over: false,
    };
    Ok(stream::unfold(follower, Follower::next).boxed())
}

/// An entry id is the build's run and the offset after it; one of another run is the start.
fn place(build: &Build, entry: &str) -> usize {
    let of_this_run = entry.strip_prefix(&build.run).and_then(|rest| rest.strip_prefix('-'));
    of_this_run.and_then(|offset| offset.parse().ok()).unwrap_or(0)
}

struct Follower {
    shared: Arc<Shared>,
    id: String,
    build: Arc<Build>,
    changes: watch::Receiver<()>,
    offset: usize,
    until: Instant,
    over: bool,
}

type Message = Result<ImageJoinStreamingResponse, Status>;

impl Follower {
    async fn next(mut self) -> Option<(Message, Self)> {
        if self.over {
            return None;
        }
        loop {
            self.changes.mark_unchanged();
            let (text, end, outcome) = self.build.read(self.offset, PIECE);
            if !text.is_empty() {
                self.offset = end;
                return Some((Ok(self.logged(text)), self));
            }
            if let Some(outcome) = outcome {
                self.over = true;
                return Some((self.ended(outcome).await, self));
            }
            tokio::select! {
                _ = self.changes.changed() => {}
                () = tokio::time::sleep_until(self.until) => return None,
                () = self.shared.stopping.cancelled() => {
                    self.over = true;
                    return Some((Err(status::stopping()), self));
                }
            }
        }
    }

    fn entry(&self) -> String {
        format!("{}-{}", self.build.run, self.offset)
    }

    fn logged(&self, data: String) -> ImageJoinStreamingResponse {
        let log = TaskLogs { data, file_descriptor: FileDescriptor::Stdout.into(), ..Default::default() };
        ImageJoinStreamingResponse { task_logs: vec![log], entry_id: self.entry(), ..Default::default() }
    }

    async fn ended(&self, outcome: Outcome) -> Message {
        let (result, metadata) = match outcome {
            Outcome::Built => (result::success(), Some(by_id(&self.shared, &self.id).await?.metadata())),
            Outcome::Failed(text) => (result::failure(text), None),
            Outcome::Stopped => return Err(status::stopping()),
        };
        let (result, entry_id) = (Some(result), self.entry());
        Ok(ImageJoinStreamingResponse { result, metadata, entry_id, eof: true, ..Default::default() })
    }
}
