//! What the provider sends and how it cleans up, over the real wire against a server that fails as it is told to.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

#[path = "../../../../modal/client/tests/fake/mod.rs"]
mod fake;

mod cleanup;
mod files;
mod owner;
mod request;

use fake::Fake;
use openlattice_modal::{ModalConfig, ModalProvider};

/// A provider with made-up credentials on the fake.
fn provider(fake: &Fake) -> ModalProvider {
    ModalConfig::new("ak-test", "as-test").with_server_url(fake.url()).build().unwrap()
}
