//! A connection that sends what belongs together in one piece.
//!
//! HTTP/2 here sends the headers of a call as soon as they are there; its message follows a turn of the scheduler later, in a
//! system call and a packet of its own, which wakes the server twice. Here what is to be sent waits for that turn.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose first write after a flush lets the other tasks of the scheduler run before it.
#[derive(Debug)]
pub(crate) struct OneWrite<S> {
    stream: S,
    /// The turn was waited for; what is written until the next flush goes at once.
    waited: bool,
}

impl<S> OneWrite<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, waited: false }
    }

    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.waited, true) {
            // A task that wakes itself comes after those that are ready already.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for OneWrite<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OneWrite<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        ready!(self.poll_turn(context));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_turn(context));
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.waited = false;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_write_comes_after_the_tasks_that_are_ready() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let order = Arc::new(Mutex::new(Vec::new()));
        let ready = Arc::clone(&order);
        let task = tokio::spawn(async move { ready.lock().unwrap().push("task") });
        let mut stream = OneWrite::new(ours);
        stream.write_all(b"one").await.unwrap();
        order.lock().unwrap().push("written");
        task.await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["task", "written"]);
        let mut read = [0; 3];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"one");
    }

    #[tokio::test]
    async fn only_the_first_write_after_a_flush_waits() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut stream = OneWrite::new(ours);
        stream.write_all(b"one").await.unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut stream).poll_write(&mut context, b"two").is_ready());
        stream.flush().await.unwrap();
        assert!(Pin::new(&mut stream).poll_write(&mut context, b"three").is_pending());
        assert!(Pin::new(&mut stream).poll_write(&mut context, b"three").is_ready());
    }
}
