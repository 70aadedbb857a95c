//! The suite must be right itself: a provider that breaks a promise is caught by the tests of that promise.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

mod fault;
mod files;
mod network;
mod provider;
mod session;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fault::{BREACHES, Fault, Notice};
use openlattice::{ComputeProvider, ListFilter};
use openlattice_conformance::{Candidate, Differences, Judged, Judgement, Settings, judge};
use openlattice_local::LocalProvider;
use provider::Broken;

/// How long a behaviour waits for what never comes, where that is how it notices.
const PATIENCE: Duration = Duration::from_secs(5);

async fn good(store: &Path) -> Arc<dyn ComputeProvider> {
    Arc::new(LocalProvider::open(store).await.unwrap())
}

/// Judges a provider with one fault by the behaviours with the prefixes.
async fn judged(
    inner: &Arc<dyn ComputeProvider>,
    fault: Fault,
    prefixes: &[&str],
    notice: Notice,
) -> Vec<Judged> {
    let broken = || Arc::new(Broken::new(Arc::clone(inner), fault));
    let mut settings = Settings::new("local", "host");
    if notice == Notice::Waits {
        settings.deadline = PATIENCE;
    }
    let judged = judge(Candidate::new(broken(), settings).with_peer(broken()), prefixes).await;
    assert!(!judged.is_empty(), "no behaviour starts with {prefixes:?}");
    judged
}

/// Says how a judgement shows a fault, if it does.
fn notice(judged: &Judged) -> Option<Notice> {
    match judged.judgement {
        Judgement::Broken(_) => Some(Notice::Sees),
        Judgement::Hangs(_) => Some(Notice::Waits),
        Judgement::Holds | Judgement::Skipped(_) | Judgement::Differs(_) => None,
    }
}

/// Ends what a fault has left behind.
async fn end_all(provider: &Arc<dyn ComputeProvider>) {
    for info in provider.list(ListFilter::default()).await.unwrap() {
        provider.destroy(&info.id).await.unwrap();
    }
}

#[test]
fn every_promise_has_a_fault_that_breaks_it() {
    let broken: BTreeSet<_> = BREACHES.iter().map(|(_, promise, ..)| (*promise).to_owned()).collect();
    let promises: BTreeSet<_> = (1..=9).map(|number| format!("G{number}")).collect();
    assert_eq!(broken, promises);
}

/// Without a fault each of these behaviours holds, so that it is the fault that they notice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_noticed_where_nothing_is_broken() {
    let store = tempfile::tempdir().unwrap();
    let inner = good(store.path()).await;
    let prefixes: BTreeSet<_> = BREACHES.iter().map(|(_, _, prefix, _)| *prefix).collect();
    let prefixes: Vec<_> = prefixes.into_iter().collect();
    let judged = judged(&inner, Fault::None, &prefixes, Notice::Sees).await;
    let noticed: Vec<_> = judged.iter().filter(|one| notice(one).is_some()).collect();
    assert!(noticed.is_empty(), "{noticed:?}");
    for prefix in prefixes {
        let holds = |one: &Judged| one.name.starts_with(prefix) && one.judgement == Judgement::Holds;
        assert!(judged.iter().any(holds), "nothing that starts with {prefix} was judged: {judged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_promise_is_caught() {
    let store = tempfile::tempdir().unwrap();
    let inner = good(store.path()).await;
    let mut missed = Vec::new();
    for (fault, promise, prefix, how) in BREACHES {
        let judged = judged(&inner, fault, &[prefix], how).await;
        let (right, wrong): (Vec<_>, Vec<_>) =
            judged.iter().filter(|one| notice(one).is_some()).partition(|one| notice(one) == Some(how));
        let names: Vec<_> = right.iter().map(|one| one.name).collect();
        println!("{promise} {fault:?}: {names:?}");
        if right.is_empty() || !wrong.is_empty() {
            missed.push(format!("{fault:?}: {judged:?}"));
        }
        end_all(&inner).await;
    }
    println!("{} faults caught of {}", BREACHES.len() - missed.len(), BREACHES.len());
    assert!(missed.is_empty(), "not caught, or caught in another way:\n{}", missed.join("\n"));
}

/// A provider whose faults are known, as those of a service may be: the list of them is right, or the suite fails.
#[tokio::test(flavor = "multi_thread")]
async fn known_differences_are_reported_and_the_list_of_them_cannot_rot() {
    const NAME: &str = "m13_a_non_zero_exit_is_a_result";
    let list = |expected: &str| {
        let text = format!("[{NAME}]\nexpected = {expected:?}\nreason = \"exits are errors here\"\n");
        Differences::parse(&text).unwrap()
    };
    let store = tempfile::tempdir().unwrap();
    let inner = good(store.path()).await;
    let judged = async |fault: Fault, differences: Differences, name: &str| {
        let mut settings = Settings::new("local", "host");
        settings.differences = differences;
        let broken = Arc::new(Broken::new(Arc::clone(&inner), fault));
        judge(Candidate::new(broken, settings), &[name]).await.remove(0).judgement
    };
    let known = judged(Fault::ExitBecomesError, list("internal"), NAME).await;
    assert_eq!(known, Judgement::Differs("exits are errors here".to_owned()));
    for (fault, expected, words) in [
        (Fault::ExitBecomesError, "no such text", "not as listed"),
        (Fault::None, "internal", "take it off the list"),
    ] {
        let Judgement::Broken(text) = judged(fault, list(expected), NAME).await else { panic!("{fault:?}") };
        assert!(text.contains(words), "{text}");
    }
    let unlisted = judged(Fault::InspectFails, list("internal"), "m21_an_unknown_sandbox").await;
    assert!(matches!(unlisted, Judgement::Broken(_)), "{unlisted:?}");
}
