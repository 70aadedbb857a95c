//! Bodies of answers: whole small ones, and long ones as a stream that a blocking reader takes.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::send::Answer;

/// How long a body may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// Pieces between the connection and the unpacker.
const PIECES: usize = 16;

impl Answer {
    /// The next bytes; nothing at the end.
    pub(super) async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "it was silent for 60 seconds");
            let frame = timeout(SILENCE, self.body.frame()).await.map_err(silent)?;
            match frame.transpose().map_err(io::Error::other)?.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
                // Trailers.
                Some(_) => {}
            }
        }
    }

    /// The whole body; nothing when it is longer than `limit`.
    pub(super) async fn document(mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }
}

enum Piece {
    Data(Bytes),
    End,
}

/// Makes the two ends of a download: one that takes pieces, one that reads them elsewhere.
pub(super) fn pipe() -> (Sink, Source) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Sink(sender), Source { receiver, left: Bytes::new(), ended: false })
}

/// Takes what is downloaded.
#[derive(Debug)]
pub(super) struct Sink(mpsc::Sender<Piece>);

impl Sink {
    /// Passes bytes on; `false` when nobody reads any more.
    pub(super) async fn put(&self, data: Bytes) -> bool {
        self.0.send(Piece::Data(data)).await.is_ok()
    }

    /// Says that all is there. Dropped without it, the reader fails.
    pub(super) async fn end(self) {
        // A reader that is gone has failed and says why itself.
        drop(self.0.send(Piece::End).await);
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::End) { "End" } else { "Data" })
    }
}

/// Reads what is downloaded, on a thread that may block.
#[derive(Debug)]
pub(super) struct Source {
    receiver: mpsc::Receiver<Piece>,
    left: Bytes,
    ended: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Piece::Data(data)) => self.left = data,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download broke off")),
            }
        }
        let count = self.left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.advance(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_download_that_is_given_up_is_no_end() {
        for whole in [true, false] {
            let (sink, mut source) = pipe();
            let reader = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes).map(|_| bytes)
            });
            assert!(sink.put(Bytes::from_static(b"ab")).await && sink.put(Bytes::from_static(b"c")).await);
            if whole {
                sink.end().await;
            } else {
                drop(sink);
            }
            let read = reader.await.unwrap();
            assert_eq!(
                read.map_err(|error| error.kind()),
                if whole { Ok(b"abc".to_vec()) } else { Err(io::ErrorKind::UnexpectedEof) }
            );
        }
    }
}
