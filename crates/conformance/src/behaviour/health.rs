//! `health`: whether the provider answers.

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, passed, skipped};

behaviours![
    m25_a_reachable_provider_is_healthy_with_its_latency,
    m26_an_unreachable_provider_is_unhealthy_and_says_why,
];

async fn m25_a_reachable_provider_is_healthy_with_its_latency(case: Case) -> Outcome {
    let health = case.provider().health().await;
    ensure!(health.healthy, "not healthy: {:?}", health.message);
    ensure!(health.latency_ms.is_some(), "no latency");
    case.nothing_alive("after a health check").await?;
    passed()
}

async fn m26_an_unreachable_provider_is_unhealthy_and_says_why(case: Case) -> Outcome {
    let Some(provider) = case.unreachable() else {
        return skipped("the suite was given no instance that cannot reach its other side");
    };
    let health = provider.health().await;
    ensure!(!health.healthy, "healthy without a connection");
    let message = health.message.unwrap_or_default();
    let why = message.strip_prefix("unreachable").map(|rest| rest.trim_start_matches([':', ' ']));
    ensure!(why.is_some_and(|why| !why.is_empty()), "the message is {message:?}");
    passed()
}
