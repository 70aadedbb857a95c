//! Each operation is polled n times and dropped, for every n until it completes.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use openlattice::ComputeProvider;

use crate::operation::{ALL, Operation, Scene, alive, text};

/// Gives, for each operation, at how many polls it was dropped.
pub(crate) async fn of_every_operation(
    provider: &dyn ComputeProvider,
) -> Result<Vec<(Operation, usize)>, String> {
    let scene = Scene::make(provider).await?;
    let mut counts = Vec::new();
    for operation in ALL {
        let dropped = until_it_completes(provider, &scene, operation).await?;
        counts.push((operation, dropped));
    }
    provider.destroy(&scene.node).await.map_err(text)?;
    // What is made after its caller has gone must not appear later on either.
    for (operation, dropped) in &counts {
        for polls in 1..=*dropped {
            let left = alive(provider, &name(*operation, polls)).await?;
            if !left.is_empty() {
                return Err(format!("{operation:?} dropped after {polls} polls came back as {left:?}"));
            }
        }
    }
    Ok(counts)
}

fn name(operation: Operation, polls: usize) -> String {
    format!("await-{operation:?}-{polls}")
}

async fn until_it_completes(
    provider: &dyn ComputeProvider,
    scene: &Scene,
    operation: Operation,
) -> Result<usize, String> {
    for polls in 1.. {
        let fresh = match operation.ends_its_node() {
            true => Some(scene.with_new_node(provider).await?),
            false => None,
        };
        let (scene, case) = (fresh.as_ref().unwrap_or(scene), name(operation, polls));
        match polled(operation.act(provider, scene, &case), polls).await {
            None => {}
            Some(Ok(made)) => {
                if let Some(id) = made {
                    provider.destroy(&id).await.map_err(text)?;
                }
                return Ok(polls - 1);
            }
            Some(Err(error)) => return Err(format!("{case}: {error:?}")),
        }
        operation.check(provider, scene, &case).await.map_err(|why| format!("{case}: {why}"))?;
    }
    unreachable!("the numbers do not end")
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
