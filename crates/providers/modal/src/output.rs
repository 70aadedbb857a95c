//! Reading a command's output.

use openlattice::{DropReason, Dropped, OutputChunk, OutputReader, Result, Subject, async_trait};
use openlattice_modal_client as modal;

use crate::error::Attempt;

/// Reads one stream from an offset on.
#[derive(Debug)]
pub(crate) struct ModalReader {
    output: modal::Output,
}

impl ModalReader {
    pub(crate) fn new(output: modal::Output) -> Self {
        Self { output }
    }
}

#[async_trait]
impl OutputReader for ModalReader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let offset = self.output.offset();
        let data = self.output.read().await.map_err(Attempt("read output").about(Subject::Exec))?;
        Ok(data.map(|data| OutputChunk { offset, data }))
    }

    fn dropped(&self) -> Option<Dropped> {
        self.output.dropped().map(|dropped| Dropped {
            from: dropped.from,
            bytes: dropped.bytes,
            reason: match dropped.reason {
                modal::DropReason::DiskFull => DropReason::DiskFull,
                modal::DropReason::FileLimit => DropReason::FileLimit,
                modal::DropReason::Quota => DropReason::Quota,
            },
        })
    }
}
