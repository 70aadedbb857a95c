//! What follows from the trait: commands with their output, and handles.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join3;

use crate::{
    ComputeProvider, Dropped, Error, ErrorKind, ExecResult, ExecSpec, Node, NodeRef, OnDrop, OutputReader,
    OutputStream, ProvisionSpec, Result, SandboxId, SnapshotRef, Stdin,
};

/// A function that takes pieces of output.
type Sink<'a> = Box<dyn FnMut(&[u8]) + Send + 'a>;

/// Receives a command's output while it runs.
///
/// Each function sees the bytes of its stream in order and once. It is called between reads, so a slow one slows the reading
/// down, never the command.
#[derive(Default)]
pub struct Callbacks<'a> {
    on_stdout: Option<Sink<'a>>,
    on_stderr: Option<Sink<'a>>,
}

impl<'a> Callbacks<'a> {
    /// Returns callbacks that do nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets what receives standard output.
    #[must_use]
    pub fn on_stdout(mut self, sink: impl FnMut(&[u8]) + Send + 'a) -> Self {
        self.on_stdout = Some(Box::new(sink));
        self
    }

    /// Sets what receives standard error.
    #[must_use]
    pub fn on_stderr(mut self, sink: impl FnMut(&[u8]) + Send + 'a) -> Self {
        self.on_stderr = Some(Box::new(sink));
        self
    }
}

impl fmt::Debug for Callbacks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("on_stdout", &self.on_stdout.is_some())
            .field("on_stderr", &self.on_stderr.is_some())
            .finish()
    }
}

/// Adds what follows from [`ComputeProvider`]; implemented for every provider, also behind `dyn`.
pub trait ComputeProviderExt: ComputeProvider {
    /// Runs a command to its end and returns its status and whole output.
    ///
    /// Dropping the future kills the command where `capabilities.exec.kill_on_drop`; elsewhere it runs on until its timeout.
    ///
    /// # Errors
    /// Those of [`ComputeProvider::exec`] and of reading; `InvalidArgument` for [`Stdin::Open`], which nobody could write to.
    fn run<'a>(
        &'a self,
        id: &'a SandboxId,
        spec: ExecSpec,
        callbacks: Callbacks<'a>,
    ) -> impl Future<Output = Result<ExecResult>> + Send + 'a {
        run(self, id, spec, callbacks)
    }

    /// Makes a sandbox and returns a handle to it.
    ///
    /// Dropping the *handle* does nothing; the sandbox ends by [`Node::destroy`], its life time or its owner's end.
    ///
    /// # Errors
    /// Those of [`ComputeProvider::provision`].
    fn provision_node(
        self: &Arc<Self>,
        spec: ProvisionSpec,
    ) -> impl Future<Output = Result<Node<Self>>> + Send + '_ {
        async move { Ok(self.node(self.provision(spec).await?.id)) }
    }

    /// Makes a sandbox from a snapshot and returns a handle to it.
    ///
    /// # Errors
    /// Those of [`ComputeProvider::restore`].
    fn restore_node<'a>(
        self: &'a Arc<Self>,
        from: &'a SnapshotRef,
        spec: ProvisionSpec,
    ) -> impl Future<Output = Result<Node<Self>>> + Send + 'a {
        async move { Ok(self.node(self.restore(from, spec).await?.id)) }
    }

    /// Returns a handle to a sandbox known by its id, without asking whether it exists.
    fn node(self: &Arc<Self>, id: impl Into<SandboxId>) -> Node<Self> {
        Node::new(Arc::clone(self), id.into())
    }

    /// Returns a handle from a reference that [`Node::to_ref`] made, perhaps in another process.
    ///
    /// # Errors
    /// `InvalidArgument` where the reference names another provider.
    fn node_from(self: &Arc<Self>, reference: NodeRef) -> Result<Node<Self>> {
        if reference.provider == self.name() {
            return Ok(self.node(reference.id));
        }
        let message = format!("the node belongs to provider {:?}, not {:?}", reference.provider, self.name());
        Err(Error::new(ErrorKind::InvalidArgument, "node", message).with_context("sandbox", reference.id))
    }
}

impl<P: ComputeProvider + ?Sized> ComputeProviderExt for P {}

/// Starts a command, and follows both streams and the end at the same time.
async fn run<P: ComputeProvider + ?Sized>(
    provider: &P,
    id: &SandboxId,
    mut spec: ExecSpec,
    callbacks: Callbacks<'_>,
) -> Result<ExecResult> {
    if spec.options.stdin == Stdin::Open {
        return Err(Error::invalid("run", "options.stdin", "is open, and nobody could write to it")
            .with_hint("give the bytes, or use exec for a session"));
    }
    if provider.capabilities().exec.kill_on_drop {
        spec.options.on_drop = OnDrop::Kill;
    }
    let session = provider.exec(id, spec).await?;
    let stdout = drain(session.output(OutputStream::Stdout, 0), callbacks.on_stdout);
    let stderr = drain(session.output(OutputStream::Stderr, 0), callbacks.on_stderr);
    let (stdout, stderr, status) = try_join3(stdout, stderr, session.wait()).await?;
    Ok(ExecResult {
        status,
        stdout: stdout.0,
        stderr: stderr.0,
        stdout_dropped_from: stdout.1.map(|dropped| dropped.from),
        stderr_dropped_from: stderr.1.map(|dropped| dropped.from),
    })
}

/// Reads a stream to its end; returns its bytes, and what the provider dropped.
async fn drain(
    mut reader: Box<dyn OutputReader>,
    mut sink: Option<Sink<'_>>,
) -> Result<(Bytes, Option<Dropped>)> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = reader.next_chunk().await? {
        if let Some(sink) = &mut sink {
            sink(&chunk.data);
        }
        whole.extend_from_slice(&chunk.data);
    }
    Ok((whole.freeze(), reader.dropped()))
}
