//! The contract's conformance suite, on the local provider, a store of its own, and registries on loopback.

use std::sync::Arc;

use openlattice::{Error, ErrorKind, RegistryCredentials};
use openlattice_conformance::{Candidate, Settings};
use openlattice_engine::{Engine, EngineConfig};
use openlattice_images::testing;
use openlattice_images::testing::registry::{Both, PASSWORD, USERNAME};
use openlattice_local::LocalProvider;

fn main() -> std::process::ExitCode {
    openlattice_conformance::run(async || {
        let store = tempfile::tempdir().expect("a temporary folder can be made");
        let provider = LocalProvider::open(store.path()).await?;
        let peer = LocalProvider::open(store.path()).await?;
        let mut settings = Settings::new("local", "host");
        settings.image_with_command = Some(import_with_command(store.path()).await);
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Internal, "start registries", error.to_string());
        let registries = Both::start("pulling through the provider local").map_err(failed)?;
        if let Some(both) = &registries {
            let credentials =
                RegistryCredentials { username: USERNAME.to_owned(), password: PASSWORD.into() };
            settings.registry_image = Some(both.public_image.clone());
            settings.private_image = Some((both.private_image.clone(), credentials));
            settings.missing_image = both.open.reference("no-such-image", "0");
        }
        let candidate = Candidate::new(Arc::new(provider), settings);
        Ok(candidate.with_peer(Arc::new(peer)).keeping(registries).keeping(store))
    })
}

/// Imports an image whose own command ends at once, and gives its name.
async fn import_with_command(store: &std::path::Path) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let archive = folder.path().join("image.tar");
    testing::write_archive_with_command(&archive).expect("the machine has a shell");
    let engine = Engine::open(EngineConfig::new(store)).await.expect("the store opens");
    engine.import_image("own-command", &archive).await.expect("the archive is good");
    "own-command".to_owned()
}
