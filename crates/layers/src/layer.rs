//! What every wrapper has in common.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use openlattice::{ComputeProvider, Extensions, Files, Metrics, Network, Result, Tags, Volumes};

use crate::extension::{LayeredFiles, LayeredMetrics, LayeredNetwork, LayeredTags, LayeredVolumes};
use crate::{About, Answer, Call};

/// A future behind a pointer, as the contract's methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Does something around calls: before, after, instead of, or more than once.
pub trait Layer: fmt::Debug + Send + Sync + Sized + 'static {
    /// Runs a call; every future that `work` returns is one attempt of it.
    ///
    /// Must be as cancel-safe as the call: dropping the returned future drops the attempt, and leaves nothing behind.
    ///
    /// # Errors
    /// Those of the call, and the layer's own.
    fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a;

    /// Says whether the layer has anything to do around a call; the others go past it.
    fn covers(&self, call: Call) -> bool;

    /// Puts the layer over a provider.
    fn over(self, provider: Arc<dyn ComputeProvider>) -> Layered<Self> {
        Layered::new(self, provider)
    }
}

/// A provider with a layer over it, itself a provider.
#[derive(Debug)]
pub struct Layered<L> {
    pub(crate) layer: Arc<L>,
    pub(crate) inner: Arc<dyn ComputeProvider>,
    pub(crate) extensions: Extensions,
}

impl<L: Layer> Layered<L> {
    fn new(layer: L, inner: Arc<dyn ComputeProvider>) -> Self {
        let layer = Arc::new(layer);
        let extensions = extensions(&layer, inner.extensions());
        Self { layer, inner, extensions }
    }

    /// Returns the layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}

/// Wraps the extensions that the contract knows; the others are passed through.
fn extensions<L: Layer>(layer: &Arc<L>, inner: &Extensions) -> Extensions {
    let mut all = inner.clone();
    if let Some(files) = inner.get::<dyn Files>() {
        all = all.with::<dyn Files>(Arc::new(LayeredFiles::new(Arc::clone(layer), files)));
    }
    if let Some(network) = inner.get::<dyn Network>() {
        all = all.with::<dyn Network>(Arc::new(LayeredNetwork::new(Arc::clone(layer), network)));
    }
    if let Some(metrics) = inner.get::<dyn Metrics>() {
        all = all.with::<dyn Metrics>(Arc::new(LayeredMetrics::new(Arc::clone(layer), metrics)));
    }
    if let Some(tags) = inner.get::<dyn Tags>() {
        all = all.with::<dyn Tags>(Arc::new(LayeredTags::new(Arc::clone(layer), tags)));
    }
    if let Some(volumes) = inner.get::<dyn Volumes>() {
        all = all.with::<dyn Volumes>(Arc::new(LayeredVolumes::new(Arc::clone(layer), volumes)));
    }
    all
}

/// Runs a call through a layer, or past it.
pub(crate) async fn through<'a, L: Layer, T: Answer + 'a>(
    layer: &'a L,
    about: About<'a>,
    mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
) -> Result<T> {
    if layer.covers(about.call) { layer.around(about, work).await } else { work().await }
}
