//! Each operation is dropped when a frame of it comes by, for every frame: that reaches what runs in tasks of its own.

use std::sync::Arc;

use openlattice::ComputeProvider;
use tokio::task::JoinSet;

use crate::fault::{Fault, Way};
use crate::operation::{self, CHANGING, Operation, Scene, text};
use crate::world::World;
use crate::{Failure, Result, ensure};

/// Drops every operation that changes something at every frame, in both directions, on a client that has done nothing before.
pub(crate) async fn of_every_operation(world: Arc<World>) -> Result<String> {
    let mut running = JoinSet::new();
    for operation in CHANGING {
        let world = Arc::clone(&world);
        running.spawn_local(async move { at_every_frame(&world, operation).await });
    }
    let (mut all, mut words) = (0, Vec::new());
    while let Some(done) = running.join_next().await {
        let (operation, dropped) = done.map_err(Failure::of("run a case"))??;
        all += dropped;
        words.push(format!("{operation:?} {dropped}"));
    }
    ensure(all >= 100, || format!("only {all} drops"))?;
    Ok(format!("{all} drops: {}", words.join(", ")))
}

async fn at_every_frame(world: &World, operation: Operation) -> Result<(Operation, usize)> {
    let quiet = world.path(Fault::None, true).await?;
    let provider: &dyn ComputeProvider = &*quiet.provider;
    let scene = Scene::make(provider).await.map_err(Failure)?;
    let mut cases = Vec::new();
    for way in [Way::ToServer, Way::ToClient] {
        for at in 1.. {
            let case = format!("frame-{operation:?}-{way:?}-{at}");
            let fresh = match operation.needs_its_own_node() {
                true => Some(scene.with_new_node(provider).await.map_err(Failure)?),
                false => None,
            };
            let scene = fresh.as_ref().unwrap_or(&scene);
            let completed = dropped(world, operation, scene, &case, Fault::Tell { way, at }).await?;
            operation.check(provider, scene, &case).await.map_err(|why| Failure(format!("{case}: {why}")))?;
            if fresh.is_some() {
                provider.destroy(&scene.node).await?;
            }
            if completed {
                break;
            }
            cases.push(case);
        }
    }
    provider.destroy(&scene.node).await?;
    // What is made after its caller has gone must not appear later on either.
    for case in &cases {
        let left = world.alive(case).await?;
        ensure(left.is_empty(), || format!("{case} left {left:?}"))?;
    }
    Ok((operation, cases.len()))
}

/// Drops a keyed provision at every frame and repeats it at once: what is still being undone is not handed out, and what is handed
/// out is not undone.
pub(crate) async fn and_repeated_by_key(world: Arc<World>) -> Result<String> {
    let mut kept = Vec::new();
    for way in [Way::ToServer, Way::ToClient] {
        for at in 1.. {
            let case = format!("key-{way:?}-{at}");
            let path = world.path(Fault::Tell { way, at }, true).await?;
            let spec = || operation::spec(&case).with_key(&case);
            let completed = tokio::select! {
                biased;
                made = path.provider.provision(spec()) => made.map(|_| true)?,
                () = path.plan.struck() => false,
            };
            let again = path.provider.provision(spec()).await;
            let id = again.map_err(|error| Failure(format!("{case}: {}", text(error))))?.id;
            kept.push((case, path, id));
            if completed {
                break;
            }
        }
    }
    for (case, path, id) in &kept {
        let works = operation::works(&*path.provider, id).await;
        works.map_err(|why| Failure(format!("{case}: {why}")))?;
        let alive = world.alive(case).await?;
        ensure(alive == [id.as_str()], || format!("{case}: {id} was handed out and {alive:?} are alive"))?;
        path.provider.destroy(id).await?;
    }
    Ok(format!("{} drops", kept.len() - 2))
}

/// Says whether the operation completed before the frame came by; what it made is ended then.
async fn dropped(
    world: &World,
    operation: Operation,
    scene: &Scene,
    case: &str,
    fault: Fault,
) -> Result<bool> {
    let path = world.path(fault, true).await?;
    let outcome = tokio::select! {
        biased;
        outcome = operation.act(&*path.provider, scene, case) => Some(outcome),
        () = path.plan.struck() => None,
    };
    let Some(outcome) = outcome else {
        // What undoes the operation in the background needs its way to the server.
        world.keep(path);
        return Ok(false);
    };
    if let Some(id) = outcome.map_err(|error| Failure(format!("{case}: {}", text(error))))? {
        path.provider.destroy(&id).await?;
    }
    Ok(true)
}
