//! What a layer may know of a call's result.

use openlattice::{
    Bytes, ExecSession, ExecStatus, FileContent, FileEvent, FileInfo, FileWatch, GcReport, Health,
    OutputChunk, OutputReader, PortUrl, SandboxInfo, SnapshotRef, StdinStatus, Usage, VolumeInfo,
};
use std::collections::BTreeMap;

/// Tells the outcome of a call in a few words: ids, sizes and statuses, never content.
pub trait Answer: Send {
    /// Returns the words, such as `sandbox sb-1`, or `None` where there is nothing to tell.
    fn summary(&self) -> Option<String>;
}

/// Implements [`Answer`] for types that each take one expression.
macro_rules! answers {
    ($($kind:ty: $one:ident => $summary:expr,)*) => {
        $(impl Answer for $kind {
            fn summary(&self) -> Option<String> {
                let $one = self;
                $summary
            }
        })*
    };
}

answers! {
    (): _nothing => None,
    Health: health => Some(if health.healthy { "healthy" } else { "unhealthy" }.to_owned()),
    SandboxInfo: info => Some(format!("sandbox {} {}", info.id, info.state.as_str())),
    Vec<SandboxInfo>: all => Some(format!("{} sandboxes", all.len())),
    Box<dyn ExecSession>: session => Some(format!("command {}", session.id())),
    Box<dyn OutputReader>: _reader => None,
    SnapshotRef: snapshot => Some(format!("snapshot {}", snapshot.external_id)),
    GcReport: report => Some(format!("{} sandboxes ended", report.ended.len())),
    Option<OutputChunk>: chunk => Some(match chunk {
        Some(chunk) => format!("{} bytes at {}", chunk.data.len(), chunk.offset),
        None => "the end".to_owned(),
    }),
    StdinStatus: _status => None,
    ExecStatus: status => Some(format!("{}, {:?}", status.exit, status.reason)),
    Option<ExecStatus>: status => Some(status.map_or_else(|| "running".to_owned(), |status| status.exit.to_string())),
    Bytes: bytes => Some(format!("{} bytes", bytes.len())),
    Box<dyn FileContent>: _content => None,
    Option<Bytes>: piece => Some(piece.as_ref().map_or_else(|| "the end".to_owned(), |piece| format!("{} bytes", piece.len()))),
    Box<dyn FileWatch>: _watch => None,
    Option<FileEvent>: event => Some(event.as_ref().map_or_else(|| "the end".to_owned(), |event| event.kind.to_string())),
    Vec<FileInfo>: entries => Some(format!("{} entries", entries.len())),
    FileInfo: file => Some(format!("{:?} of {} bytes", file.kind, file.size)),
    PortUrl: _url => None,
    Vec<PortUrl>: all => Some(format!("{} ports", all.len())),
    Usage: _usage => None,
    BTreeMap<String, String>: tags => Some(format!("{} tags", tags.len())),
    VolumeInfo: volume => Some(format!("volume {}", volume.id)),
    Vec<VolumeInfo>: all => Some(format!("{} volumes", all.len())),
}
