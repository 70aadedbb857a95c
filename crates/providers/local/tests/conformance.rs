//! The contract's conformance suite, on the local provider and a store of its own.

use std::sync::Arc;

use openlattice_conformance::{Candidate, Settings};
use openlattice_local::LocalProvider;

fn main() -> std::process::ExitCode {
    openlattice_conformance::run(async || {
        let store = tempfile::tempdir().expect("a temporary folder can be made");
        let provider = LocalProvider::open(store.path()).await?;
        let peer = LocalProvider::open(store.path()).await?;
        let candidate = Candidate::new(Arc::new(provider), Settings::new("local", "host"));
        Ok(candidate.with_peer(Arc::new(peer)).keeping(store))
    })
}
