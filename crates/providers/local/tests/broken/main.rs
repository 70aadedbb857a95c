//! The suite must be right itself: a provider that breaks a promise is caught by the tests of that promise.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

mod provider;
mod session;

use std::sync::Arc;
use std::time::Duration;

use openlattice::{ComputeProvider, ListFilter};
use openlattice_conformance::{Candidate, Judged, Judgement, Settings, judge};
use openlattice_local::LocalProvider;
use provider::{Broken, Fault};

/// Judges a provider with one fault by the behaviours with a prefix; returns the names of those that do not hold.
async fn caught(inner: &Arc<dyn ComputeProvider>, fault: Fault, prefix: &str) -> Vec<&'static str> {
    let broken = Broken { inner: Arc::clone(inner), fault };
    let mut settings = Settings::new("local", "host");
    // Some faults make a test wait for what never comes.
    settings.deadline = Duration::from_secs(5);
    let judged = judge(Candidate::new(Arc::new(broken), settings), &[prefix]).await;
    assert!(!judged.is_empty(), "no behaviour starts with {prefix}");
    judged.into_iter().filter_map(broken_name).collect()
}

fn broken_name(judged: Judged) -> Option<&'static str> {
    matches!(judged.judgement, Judgement::Broken(_)).then_some(judged.name)
}

/// Ends what a fault has left behind.
async fn end_all(provider: &Arc<dyn ComputeProvider>) {
    for info in provider.list(ListFilter::default()).await.unwrap() {
        provider.destroy(&info.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_promise_is_caught() {
    let store = tempfile::tempdir().unwrap();
    let inner: Arc<dyn ComputeProvider> = Arc::new(LocalProvider::open(store.path()).await.unwrap());
    let faults = [
        (Fault::JoinsArguments, "g1_"),
        (Fault::ReplacesBytes, "g2_output_is_bytes"),
        (Fault::IgnoresOffset, "g2_reading_goes_on"),
        (Fault::DropsStderr, "m13_"),
        (Fault::ExitBecomesError, "m13_"),
        (Fault::ErrorBecomesExit, "m12_a_missing_program"),
        (Fault::IgnoresKey, "g4_"),
        (Fault::LeaksOnFailure, "m10_"),
        (Fault::DropsWhatItCannot, "g6_every_unclaimed_field_of_a_spec"),
        (Fault::IgnoresCwd, "m14_a_working_directory"),
        (Fault::HidesTimeout, "m15_a_timeout_kills"),
        (Fault::ShowsVariables, "g8_variables_do_not_show_in_errors"),
        (Fault::DetachesOnDrop, "g9_a_dropped_run"),
        (Fault::OnlySaysDestroyed, "m17_destroy_ends_the"),
        (Fault::InspectFails, "m21_"),
    ];
    let mut missed = Vec::new();
    for (fault, prefix) in faults {
        let names = caught(&inner, fault, prefix).await;
        println!("{fault:?}: caught by {names:?}");
        if names.is_empty() {
            missed.push(fault);
        }
        end_all(&inner).await;
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
