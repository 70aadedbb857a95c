//! The main process of a first-generation sandbox: its output as text, its input in numbered pieces.

use super::{Reply, sandbox::info};
use crate::{
    deadline::{Deadline, seconds},
    ids,
    router::main_exec,
    shared::Shared,
    state::StdinMark,
    status,
};
use futures_util::stream::{self, BoxStream, StreamExt};
use openlattice_engine::{ErrorKind, OutputReader, OutputStream, SandboxInfo};
use openlattice_modal_proto::client::{
    FileDescriptor, SandboxGetLogsRequest, SandboxStdinWriteRequest, SandboxStdinWriteResponse, TaskLogs,
    TaskLogsBatch,
};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

type Batches = BoxStream<'static, Result<TaskLogsBatch, Status>>;

/// Streams text from where `last_entry_id` says until the end of the output, or until the timeout, after which the
/// client asks again.
pub(super) async fn get(shared: &Arc<Shared>, request: Request<SandboxGetLogsRequest>) -> Reply<Batches> {
    let deadline = Deadline::of(&request);
    let request = request.into_inner();
    let descriptor = request.file_descriptor();
    let stream = match descriptor {
        FileDescriptor::Stdout => OutputStream::Stdout,
        FileDescriptor::Stderr => OutputStream::Stderr,
        _ => return Err(Status::invalid_argument("file_descriptor must be STDOUT or STDERR")),
    };
    let until = Instant::now() + Deadline::shorten(deadline, seconds(request.timeout));
    let info = info(shared, &request.sandbox_id).await?;
    let offset = offset(&request.last_entry_id)?;
    let reader = match info.command.is_empty() {
        true => None,
        false => {
            let reader = shared.engine.output(&info.id, &main_exec(), stream, offset).await;
            Some(reader.map_err(status::from_engine)?)
        }
    };
    let logs = Logs {
        shared: shared.clone(),
        info,
        descriptor,
        reader,
        until,
        pending: Vec::new(),
        offset,
        over: false,
    };
    Ok(Response::new(stream::unfold(logs, Logs::next).boxed()))
}

/// An entry id is the offset after it: `N-0`; none yet is empty or `0-0`.
fn offset(entry: &str) -> Result<u64, Status> {
    let number = entry.split('-').next().unwrap_or_default();
    if number.is_empty() {
        return Ok(0);
    }
    number
        .parse()
        .map_err(|_| Status::invalid_argument(format!("last_entry_id {entry:?} is none of this server")))
}

struct Logs {
    shared: Arc<Shared>,
    info: SandboxInfo,
    descriptor: FileDescriptor,
    /// `None`: there is no main command, so no output until the sandbox ends.
    reader: Option<OutputReader>,
    until: Instant,
    /// Bytes of a character that has not fully arrived.
    pending: Vec<u8>,
    /// Offset after the last batch.
    offset: u64,
    over: bool,
}

impl Logs {
    async fn next(mut self) -> Option<(Result<TaskLogsBatch, Status>, Self)> {
        while !self.over {
            let (shared, until) = (self.shared.clone(), self.until);
            let bytes = tokio::select! {
                bytes = self.read() => bytes,
                () = tokio::time::sleep_until(until) => return None,
                () = shared.stopping.cancelled() => Err(status::stopping()),
            };
            let batch = match bytes {
                Ok(Some(bytes)) => {
                    self.pending.extend_from_slice(&bytes);
                    let text = take_text(&mut self.pending, false);
                    if text.is_empty() {
                        continue;
                    }
                    Ok(self.batch(text))
                }
                Ok(None) => {
                    self.over = true;
                    let text = take_text(&mut self.pending, true);
                    Ok(self.batch(text))
                }
                Err(error) => {
                    self.over = true;
                    Err(error)
                }
            };
            return Some((batch, self));
        }
        None
    }

    async fn read(&mut self) -> Result<Option<bytes::Bytes>, Status> {
        match &mut self.reader {
            Some(reader) => reader.next().await.map_err(status::from_engine),
            None => {
                self.shared.engine.wait(&self.info.id, None).await.map(|_| None).map_err(status::from_engine)
            }
        }
    }

    fn batch(&mut self, text: String) -> TaskLogsBatch {
        if let Some(reader) = &self.reader {
            self.offset = reader.offset() - self.pending.len() as u64;
        }
        let item = TaskLogs { data: text, file_descriptor: self.descriptor.into(), ..Default::default() };
        TaskLogsBatch {
            task_id: ids::task_of(&self.info.id),
            items: if item.data.is_empty() { Vec::new() } else { vec![item] },
            entry_id: format!("{}-0", self.offset),
            eof: self.over,
            sandbox_id: self.info.id.to_string(),
            ..Default::default()
        }
    }
}

/// Takes the text out of `bytes`, leaving a last character that is incomplete, unless this is the `end`. What is no
/// text becomes the replacement character.
pub(crate) fn take_text(bytes: &mut Vec<u8>, end: bool) -> String {
    let cut = if end { bytes.len() } else { complete(bytes) };
    let rest = bytes.split_off(cut);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// Length without an incomplete character at the end.
fn complete(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for start in tail..bytes.len() {
        let rest = &bytes[start..];
        if let Err(error) = std::str::from_utf8(rest)
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return start;
        }
    }
    bytes.len()
}

/// Takes piece `index`; pieces that came before are skipped, a gap is refused.
pub(super) async fn stdin(
    shared: &Shared,
    request: SandboxStdinWriteRequest,
) -> Reply<SandboxStdinWriteResponse> {
    let info = info(shared, &request.sandbox_id).await?;
    if info.command.is_empty() {
        return Err(Status::failed_precondition(format!("sandbox {} has no main command", info.id)));
    }
    let mark = shared.state.stdin_mark(info.id.as_str()).await?;
    if request.index <= mark.last_index {
        return Ok(Response::new(SandboxStdinWriteResponse {}));
    }
    if request.index != mark.last_index + 1 {
        let expected = mark.last_index + 1;
        return Err(Status::invalid_argument(format!(
            "index {} follows {}; expected {expected}",
            request.index, mark.last_index
        )));
    }
    let written = shared
        .engine
        .write_stdin(&info.id, &main_exec(), mark.next_offset, &request.input, request.eof)
        .await;
    if let Err(error) = written {
        // A client sends the end on its own; a command that has ended meanwhile has it already.
        let only_end = request.input.is_empty() && error.kind() == ErrorKind::FailedPrecondition;
        if !only_end {
            return Err(status::from_engine(error));
        }
    }
    let next_offset = mark.next_offset + request.input.len() as u64;
    shared
        .state
        .set_stdin_mark(info.id.as_str(), StdinMark { last_index: request.index, next_offset })
        .await?;
    Ok(Response::new(SandboxStdinWriteResponse {}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let text = "aé€😀";
        for cut in 0..=text.len() {
            let mut pending = text.as_bytes()[..cut].to_vec();
            let mut read = take_text(&mut pending, false);
            pending.extend_from_slice(&text.as_bytes()[cut..]);
            read.push_str(&take_text(&mut pending, true));
            assert_eq!(read, text, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut bytes = b"a\xffb\xe2\x82".to_vec();
        assert_eq!(take_text(&mut bytes, false), "a\u{fffd}b");
        assert_eq!(bytes, b"\xe2\x82");
        assert_eq!(take_text(&mut bytes, true), "\u{fffd}");
    }

    #[test]
    fn entry_ids_are_offsets() {
        assert_eq!(offset("").unwrap(), 0);
        assert_eq!(offset("0-0").unwrap(), 0);
        assert_eq!(offset("17-0").unwrap(), 17);
        assert!(offset("x").is_err());
    }
}
