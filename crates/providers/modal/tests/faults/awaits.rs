//! Each operation is polled n times and dropped, for every n until it completes.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use openlattice::ComputeProvider;

use crate::operation::{ASKING, CHANGING, Operation, Scene, alive, text};

/// Those that cannot be over at their first poll.
const LONG: [Operation; 4] = [Operation::Provision, Operation::Restore, Operation::Run, Operation::Snapshot];
/// How often all is done: how many polls an operation takes is a matter of timing.
const ROUNDS: usize = 2;

/// Gives, for each operation, at how many polls it was dropped.
pub(crate) async fn of_every_operation(
    provider: &dyn ComputeProvider,
) -> Result<Vec<(Operation, usize)>, String> {
    let scene = Scene::make(provider).await?;
    let mut counts = Vec::new();
    for operation in CHANGING.into_iter().chain(ASKING) {
        let mut dropped = 0;
        for round in 1..=ROUNDS {
            dropped += until_it_completes(provider, &scene, operation, round).await?;
        }
        counts.push((operation, dropped));
    }
    provider.destroy(&scene.node).await.map_err(text)?;
    // What is made after its caller has gone must not appear later on either.
    for (operation, dropped) in &counts {
        for (round, polls) in (1..=ROUNDS).flat_map(|round| (1..=*dropped).map(move |polls| (round, polls))) {
            let left = alive(provider, &name(*operation, round, polls)).await?;
            if !left.is_empty() {
                return Err(format!("{operation:?} dropped after {polls} polls came back as {left:?}"));
            }
        }
    }
    Ok(counts)
}

/// Fails where an operation of several steps could not be dropped midway, or all of them only rarely; gives all counts in a line.
pub(crate) fn enough(counts: &[(Operation, usize)]) -> Result<String, String> {
    let all: usize = counts.iter().map(|(_, dropped)| dropped).sum();
    let words: Vec<_> =
        counts.iter().map(|(operation, dropped)| format!("{operation:?} {dropped}")).collect();
    let line = format!("{all} drops: {}", words.join(", "));
    let never = counts.iter().any(|(one, dropped)| LONG.contains(one) && *dropped == 0);
    if all < 50 || never { Err(format!("only {line}")) } else { Ok(line) }
}

fn name(operation: Operation, round: usize, polls: usize) -> String {
    format!("await-{operation:?}-{round}-{polls}")
}

async fn until_it_completes(
    provider: &dyn ComputeProvider,
    scene: &Scene,
    operation: Operation,
    round: usize,
) -> Result<usize, String> {
    for polls in 1.. {
        let fresh = match operation.needs_its_own_node() {
            true => Some(scene.with_new_node(provider).await?),
            false => None,
        };
        let (scene, case) = (fresh.as_ref().unwrap_or(scene), name(operation, round, polls));
        let completed = dropped_after(provider, scene, operation, &case, polls).await;
        if fresh.is_some() {
            provider.destroy(&scene.node).await.map_err(text)?;
        }
        if completed.map_err(|why| format!("{case}: {why}"))? {
            return Ok(polls - 1);
        }
    }
    unreachable!("the numbers do not end")
}

/// Says whether the operation completed; where it did not, it has been dropped and what must hold then holds.
async fn dropped_after(
    provider: &dyn ComputeProvider,
    scene: &Scene,
    operation: Operation,
    case: &str,
    polls: usize,
) -> Result<bool, String> {
    match polled(operation.act(provider, scene, case), polls).await {
        None => operation.check(provider, scene, case).await.map(|()| false),
        Some(Ok(Some(id))) => provider.destroy(&id).await.map_err(text).map(|()| true),
        Some(Ok(None)) => Ok(true),
        Some(Err(error)) => Err(text(error)),
    }
}

/// Polls a future so many times, then drops it unless it has completed.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    std::future::poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}
