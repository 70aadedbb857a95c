//! The content of a file, piece by piece.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// Gives a file's content in order, piece by piece: what a provider hands out when a file is read as a stream, and what it takes
/// when one is written as a stream. So the content of one node's file can be handed on to another node.
///
/// Bytes are a content of their own, of one piece.
#[async_trait]
pub trait FileContent: fmt::Debug + Send {
    /// Waits for the next bytes; `None` at the end, and only there.
    ///
    /// # Behaviour
    /// - A piece has at least one byte, and from a provider at most 1 MiB.
    /// - After an error, what comes next is not defined: begin again, or read on from an offset.
    /// - Dropping the future loses nothing: the next call returns what this one would have.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>>;
}

#[async_trait]
impl FileContent for Bytes {
    async fn next_chunk(&mut self) -> Result<Option<Self>> {
        let whole = std::mem::take(self);
        Ok((!whole.is_empty()).then_some(whole))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn bytes_are_one_piece_and_no_bytes_are_none() {
        let mut content = Bytes::from_static(b"abc");
        let mut next = || content.next_chunk().now_or_never().expect("nothing to wait for").unwrap();
        assert_eq!((next(), next()), (Some(Bytes::from_static(b"abc")), None));
        assert!(Bytes::new().next_chunk().now_or_never().unwrap().unwrap().is_none());
    }
}
