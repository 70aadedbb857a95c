//! Output of the main process, the command that a sandbox was made with (protocol sections 4.4 and 5.4).

use std::time::Duration;

use bytes::Bytes;
use openlattice_modal_proto::client as wire;
use tokio::time::{Instant, sleep};
use tonic::Streaming;

use super::{Generation, Sandbox};
use crate::client::ControlPlane;
use crate::error::Result;
use crate::output::{Output, OutputStream, Source};
use crate::retry::{self, Reopening};
use crate::status::{self, Operation};

const SANDBOX_GET_LOGS: Operation = Operation::repeatable("SandboxGetLogs");
/// How long the server is asked to hold one stream of logs open.
const HELD: Duration = Duration::from_secs(55);

impl Sandbox {
    /// Opens an output of the main process, from its first byte on; nothing is sent before the first read.
    ///
    /// A sandbox of the first generation has text only: what is no UTF-8 arrives replaced, as for the official clients.
    #[must_use]
    pub fn main_output(&self, stream: OutputStream) -> MainOutput {
        MainOutput(match self.generation() {
            Generation::V1 => Kind::Logs(Logs::new(self.clone(), stream)),
            Generation::V2 => Kind::Routed(Output::new(Source::Main(self.clone()), stream, 0)),
        })
    }
}

/// A reader of one output of a main process. Several readers do not disturb each other.
#[derive(Debug)]
pub struct MainOutput(Kind);

#[derive(Debug)]
enum Kind {
    Logs(Logs),
    Routed(Output),
}

impl MainOutput {
    /// Waits for the next bytes; nothing means the end: of the output, or of a sandbox without a main process.
    ///
    /// A broken connection is opened again where it broke, ten times in a row at most. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the connection did not come back; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound)
    /// when the sandbox is unknown, or has ended: of the second generation, before this handle was used, else so long ago that its output is gone.
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        match &mut self.0 {
            Kind::Logs(logs) => logs.read().await,
            Kind::Routed(output) => output.read().await,
        }
    }

    /// Gives how many bytes the server no longer had when they were asked for; so many are missing in what was read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        match &self.0 {
            Kind::Logs(_) => 0,
            Kind::Routed(output) => output.missed(),
        }
    }
}

/// Output of the first generation: streams that the server ends after a while, each taken up at the entry where the last one ended.
#[derive(Debug)]
struct Logs {
    sandbox: Sandbox,
    descriptor: wire::FileDescriptor,
    last_entry: String,
    /// A stream, and since when it is open.
    open: Option<(Instant, Streaming<wire::TaskLogsBatch>)>,
    reopening: Reopening,
    over: bool,
}

impl Logs {
    fn new(sandbox: Sandbox, stream: OutputStream) -> Self {
        let descriptor = match stream {
            OutputStream::Stdout => wire::FileDescriptor::Stdout,
            OutputStream::Stderr => wire::FileDescriptor::Stderr,
        };
        let (last_entry, reopening) = (String::new(), Reopening::default());
        Self { sandbox, descriptor, last_entry, open: None, reopening, over: false }
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        while !self.over {
            let Some((since, batches)) = &mut self.open else {
                match self.ask().await {
                    Ok(batches) => self.open = Some((Instant::now(), batches)),
                    Err(error) => self.reopening.after(error).await?,
                }
                continue;
            };
            match batches.message().await {
                Ok(Some(batch)) => {
                    let text = self.took(batch);
                    if !text.is_empty() {
                        return Ok(Some(text));
                    }
                }
                Ok(None) => {
                    let rest = retry::rest_after_hold(HELD, since.elapsed());
                    self.open = None;
                    sleep(rest).await;
                }
                Err(status) => {
                    self.open = None;
                    self.reopening.after(status::error(SANDBOX_GET_LOGS, &status)).await?;
                }
            }
        }
        Ok(None)
    }

    async fn ask(&self) -> Result<Streaming<wire::TaskLogsBatch>> {
        let request = wire::SandboxGetLogsRequest {
            sandbox_id: self.sandbox.id().to_owned(),
            file_descriptor: self.descriptor.into(),
            timeout: HELD.as_secs_f32(),
            last_entry_id: self.last_entry.clone(),
        };
        let send = |mut stub: ControlPlane, request| async move { stub.sandbox_get_logs(request).await };
        self.sandbox.client().stream(self.sandbox.call(SANDBOX_GET_LOGS), request, send).await
    }

    fn took(&mut self, batch: wire::TaskLogsBatch) -> Bytes {
        self.reopening = Reopening::default();
        if !batch.entry_id.is_empty() {
            self.last_entry = batch.entry_id;
        }
        self.over = batch.eof;
        let ours = |item: &wire::TaskLogs| {
            [self.descriptor, wire::FileDescriptor::Unspecified].contains(&item.file_descriptor())
        };
        batch.items.into_iter().filter(ours).map(|item| item.data).collect::<String>().into()
    }
}
