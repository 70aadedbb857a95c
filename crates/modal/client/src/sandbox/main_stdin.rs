//! Input of the main process (protocol sections 4.4 and 5.4).

use bytes::Bytes;
use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::task_command_router as router;

use super::{Generation, Sandbox};
use crate::client::ControlPlane;
use crate::error::{Error, Result};
use crate::router::RouterStub;
use crate::status::Operation;

const SANDBOX_STDIN_WRITE: Operation = Operation::repeatable("SandboxStdinWrite");
const SANDBOX_STDIN_WRITE_V2: Operation = Operation::repeatable("SandboxStdinWriteV2");
/// The most that one call carries: of the first generation, of the second.
const PIECE: [usize; 2] = [2 << 20, 16 << 20];

impl Sandbox {
    /// Gives the input of the main process. `position` is 0, or where an earlier writer [was](MainStdin::position).
    #[must_use]
    pub fn main_stdin(&self, position: u64) -> MainStdin {
        MainStdin { sandbox: self.clone(), position }
    }
}

/// A writer to the main process of a sandbox. There should be one at a time: servers skip what they take for a repetition.
#[derive(Debug)]
pub struct MainStdin {
    sandbox: Sandbox,
    /// Bytes that were accepted; of the first generation, calls.
    position: u64,
}

impl MainStdin {
    /// Gives the position at which a later writer, in another process for example, goes on. Its unit is the server's.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes bytes. Empty ones do nothing.
    ///
    /// When the future is dropped, or fails, the server may have taken them: writing the same bytes again is safe, others are not.
    ///
    /// # Errors
    /// [`ErrorKind::FailedPrecondition`](crate::ErrorKind::FailedPrecondition) when the main process has ended, closed its input, or never was.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        let [first, second] = PIECE;
        let most = if self.sandbox.generation() == Generation::V1 { first } else { second };
        let (mut rest, mut position) = (data, self.position);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(most));
            position = self.send(position, piece, false).await?;
        }
        // Not before all of it was taken: the same bytes written again begin where these did.
        self.position = position;
        Ok(())
    }

    /// Says that nothing more comes. Saying it again is harmless.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn close(&mut self) -> Result<()> {
        self.position = self.send(self.position, Bytes::new(), true).await?;
        Ok(())
    }

    /// Sends one piece and gives the position after it.
    async fn send(&self, position: u64, data: Bytes, eof: bool) -> Result<u64> {
        let length = data.len() as u64;
        match self.sandbox.generation() {
            Generation::V1 => self.send_numbered(position, data, eof).await.map(|()| position + 1),
            Generation::V2 => self.send_at_offset(position, data, eof).await.map(|()| position + length),
        }
    }

    /// Calls are numbered from 1; one that comes again is skipped.
    async fn send_numbered(&self, position: u64, data: Bytes, eof: bool) -> Result<()> {
        let index = u32::try_from(position + 1)
            .map_err(|_| Error::invalid(format!("{position} pieces of input are too many")))?;
        let sandbox_id = self.sandbox.id().to_owned();
        let request = wire::SandboxStdinWriteRequest { sandbox_id, input: data.into(), index, eof };
        let send = |mut stub: ControlPlane, request| async move { stub.sandbox_stdin_write(request).await };
        self.sandbox.client().unary(self.sandbox.call(SANDBOX_STDIN_WRITE), request, send).await?;
        Ok(())
    }

    async fn send_at_offset(&self, offset: u64, data: Bytes, eof: bool) -> Result<()> {
        let to = self.sandbox.router().await?;
        let task_id = to.task_id().to_owned();
        let request = router::SandboxStdinWriteV2Request { task_id, offset, data, eof };
        let send = |mut stub: RouterStub, request| async move { stub.sandbox_stdin_write_v2(request).await };
        to.unary(SANDBOX_STDIN_WRITE_V2, request, send).await?;
        Ok(())
    }
}
