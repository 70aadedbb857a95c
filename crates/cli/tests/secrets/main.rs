//! Planted secrets go through everything there is, failures included, and must show nowhere: not in logs at any level, not
//! in errors, `Debug` or `Display`, not in what `lattice` prints, not in the process list, not in the store at rest.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

mod commands;
mod flows;
mod log;
mod planted;
mod processes;
#[path = "../cli/store.rs"]
#[expect(dead_code, reason = "the other program of tests uses the rest")]
mod store;
mod wire;

use std::sync::Arc;

use openlattice_layers::{Layer, TraceLayer};
use openlattice_local::LocalConfig;

use crate::flows::{FILE, TERMINAL, World};
use crate::planted::{Find, Plant};
use crate::processes::Sampler;
use crate::store::Store;

#[test]
fn g8_planted_secrets_show_nowhere() {
    let (Some(local), Some(wire), Some(real)) =
        (Store::new("planted secrets"), Store::new("planted secrets"), Store::new("planted secrets"))
    else {
        return;
    };
    let events = log::Log::install();
    let sampler = Sampler::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    flows::malformed();
    runtime.block_on(async {
        let path = local.path("store");
        let config = LocalConfig::new(&path);
        planted::shown("configuration", &config);
        let provider = Arc::new(config.build().await.unwrap());
        let provider = Arc::new(TraceLayer.over(provider));
        World { name: "local", provider, store: &path, sampler: &sampler }.run().await;
        wire::run(&wire.path("store"), &sampler).await;
    });
    runtime.shutdown_background();
    commands::run(&real, &sampler);
    drop(sampler);
    assert!(events.count() > 1000, "{} events are too few for a log at every level", events.count());
    judge();
}

/// Bait must have been found in every kind of place, and nothing else in any.
fn judge() {
    let (bait, found): (Vec<_>, Vec<_>) =
        planted::finds().into_iter().partition(|find| find.plant == Plant::Bait);
    for place in
        ["command line of", "environment of", "log of bait", "local: bait: file", "modal v2: bait: file"]
    {
        assert!(bait.iter().any(|find| find.place.starts_with(place)), "nothing was searched at {place:?}");
    }
    let found: Vec<_> = found.into_iter().filter(|find| !meant(find)).collect();
    assert!(found.is_empty(), "planted values show: {found:#?}");
}

/// A file that was written into a sandbox holds what was written, reading it prints it, a command's input
/// lies in its spool, and a terminal echoes what is typed.
fn meant(find: &Find) -> bool {
    match find.plant {
        Plant::FileContent => {
            find.place.ends_with(&format!("file root/{FILE}")) || find.place.ends_with("/stdout")
        }
        Plant::Stdin => {
            find.place.ends_with("/stdin") || find.place.ends_with(&format!("file {TERMINAL}/stdout"))
        }
        _ => false,
    }
}
