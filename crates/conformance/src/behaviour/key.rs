//! `provision` with a caller's key, and names.

use openlattice::{ErrorKind, Subject};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    g4_the_same_key_and_spec_give_the_same_sandbox,
    g4_the_same_key_and_another_spec_is_refused,
    g4_a_key_outlives_its_caller,
    g4_a_key_outlives_its_sandbox,
    g4_ten_at_once_with_one_key_make_one_sandbox,
    m04_a_name_is_unique_among_running_sandboxes,
];

async fn g4_the_same_key_and_spec_give_the_same_sandbox(case: Case) -> Outcome {
    let spec = case.spec().with_key(case.unique("key"));
    if !case.offers().identity.keys {
        return must_refuse(case.provision(spec).await, "key");
    }
    let first = case.provision(spec.clone()).await?;
    let second = case.provision(spec).await?;
    ensure_eq!(second.id, first.id, "the id of the second provision");
    if let Some(alive) = case.alive().await? {
        ensure_eq!(alive.len(), 1, "the number of sandboxes alive");
    }
    passed()
}

async fn g4_the_same_key_and_another_spec_is_refused(case: Case) -> Outcome {
    if !case.offers().identity.keys {
        return skipped("keys are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_key(case.unique("key"));
    case.provision(spec.clone()).await?;
    let other = spec.with_max_seconds(599);
    let error = must_fail(case.provision(other).await, &[ErrorKind::AlreadyExists], "another spec")?;
    ensure_eq!(error.subject(), Some(Subject::Name), "the subject");
    passed()
}

async fn g4_a_key_outlives_its_caller(case: Case) -> Outcome {
    let Some(peer) = case.peer() else { return skipped("the suite was given no second instance") };
    if !case.offers().identity.keys {
        return skipped("keys are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_key(case.unique("key"));
    let first = case.provision(spec.clone()).await?;
    let second = peer.provision(spec).await?;
    case.remember(&second.id);
    ensure_eq!(second.id, first.id, "the id that the second instance got");
    passed()
}

async fn g4_a_key_outlives_its_sandbox(case: Case) -> Outcome {
    if !case.offers().identity.keys {
        return skipped("keys are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_key(case.unique("key"));
    let first = case.provision(spec.clone()).await?;
    case.provider().destroy(&first.id).await?;
    let second = case.provision(spec).await?;
    ensure_eq!(second.id, first.id, "the id after the sandbox ended");
    passed()
}

async fn g4_ten_at_once_with_one_key_make_one_sandbox(case: Case) -> Outcome {
    if !case.offers().identity.keys {
        return skipped("keys are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_key(case.unique("key"));
    let calls = (0..10).map(|_| case.provision(spec.clone()));
    let made = futures_util::future::try_join_all(calls).await?;
    for info in &made {
        ensure_eq!(info.id, made[0].id, "the id of one of ten provisions");
    }
    if let Some(alive) = case.alive().await? {
        ensure_eq!(alive.len(), 1, "the number of sandboxes alive");
    }
    passed()
}

async fn m04_a_name_is_unique_among_running_sandboxes(case: Case) -> Outcome {
    let spec = case.spec().with_name(case.unique("name"));
    if !case.offers().identity.names {
        return must_refuse(case.provision(spec).await, "name");
    }
    let first = case.provision(spec.clone()).await?;
    let error = must_fail(case.provision(spec.clone()).await, &[ErrorKind::AlreadyExists], "a taken name")?;
    ensure_eq!(error.subject(), Some(Subject::Name), "the subject");
    case.provider().destroy(&first.id).await?;
    let third = case.provision(spec).await?;
    ensure_eq!(third.id != first.id, true, "whether the freed name gave a new sandbox");
    passed()
}
