//! The contract's conformance suite through all layers at once: what holds for a provider holds with layers over it.

mod stack;

use std::process::ExitCode;
use std::sync::Arc;

use openlattice_conformance::{Candidate, Settings};
use openlattice_local::LocalProvider;
use stack::layered;

fn main() -> ExitCode {
    stack::run(async |made| {
        let store = tempfile::tempdir().expect("a temporary folder can be made");
        let provider = layered(Arc::new(LocalProvider::open(store.path()).await?), &made);
        let peer = layered(Arc::new(LocalProvider::open(store.path()).await?), &made);
        Ok(Candidate::new(provider, Settings::new("local", "host")).with_peer(peer).keeping(store))
    })
}
