//! One port for TLS and plaintext, told apart by the first byte.
//!
//! JavaScript and Go clients speak plaintext HTTP/2 to an `https://` address on loopback, Python speaks TLS without a
//! negotiated protocol (modal-protocol, section 0.4). A TLS record starts with 0x16, the HTTP/2 preface with `P`.

use futures_core::Stream;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// A connection that has not said which protocol it speaks by then is closed.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);

/// Accepts until `stopping`; connections themselves live until `cut`.
pub(crate) fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    stopping: CancellationToken,
    cut: CancellationToken,
) -> Incoming {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = cut.cancelled() => {}
            () = accept_all(&listener, &tls, &sender, &cut) => {}
        }
    });
    Incoming(receiver)
}

async fn accept_all(
    listener: &TcpListener,
    tls: &TlsAcceptor,
    sender: &mpsc::Sender<Connection>,
    cut: &CancellationToken,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (tls, sender, cut) = (tls.clone(), sender.clone(), cut.clone());
                tokio::spawn(async move {
                    let opened = tokio::time::timeout(HANDSHAKE_LIMIT, open(stream, tls, cut.clone()));
                    let opened = tokio::select! {
                        opened = opened => opened,
                        () = cut.cancelled() => return,
                    };
                    match opened {
                        // A closed channel means that the server has stopped; the connection is dropped.
                        Ok(Ok(connection)) => sender.send(connection).await.unwrap_or_default(),
                        Ok(Err(error)) => tracing::debug!(%error, "connection refused"),
                        Err(_) => tracing::debug!("connection said nothing"),
                    }
                });
            }
            // Out of descriptors, or the peer is gone already: neither ends the server.
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn open(stream: TcpStream, tls: TlsAcceptor, cut: CancellationToken) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut first = [0_u8];
    let count = stream.peek(&mut first).await?;
    let socket = match (count, first) {
        (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
        (_, [TLS_HANDSHAKE]) => Socket::Tls(Box::new(tls.accept(stream).await?)),
        _ => Socket::Plain(stream),
    };
    Ok(Connection { socket, peer, cut: Box::pin(cut.cancelled_owned()) })
}

/// The connections that came in.
pub(crate) struct Incoming(mpsc::Receiver<Connection>);

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An accepted connection. It fails once the server is cut, so that no open stream outlives it.
pub(crate) struct Connection {
    socket: Socket,
    peer: SocketAddr,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connected for Connection {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(context),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
