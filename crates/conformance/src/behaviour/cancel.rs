//! Dropped futures leave the system as if the call had ended or had never begun.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use futures_util::future::Either;
use openlattice::{Callbacks, ExecSpec, OutputStream};
use tokio::sync::mpsc;

use super::behaviours;
use super::output::read_from;
use crate::case::{Case, processes, shell_text, until};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, failed, passed, skipped};

behaviours![
    g9_a_dropped_run_kills_its_command,
    g9_a_dropped_session_only_detaches,
    g9_a_dropped_provision_leaves_nothing,
    g9_a_dropped_read_loses_nothing,
    g9_a_dropped_destroy_can_be_repeated,
];

/// Polls a future at most so many times, then drops it; says whether it ended.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
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

async fn g9_a_dropped_run_kills_its_command(case: Case) -> Outcome {
    if !case.offers().exec.kill_on_drop {
        return skipped("killing on drop is not offered; a dropped command runs on until its timeout");
    }
    let node = case.node().await?;
    let (started, mut up) = mpsc::unbounded_channel();
    let callbacks = Callbacks::none().on_stdout(move |_| {
        // Nobody listens any more once the run is to be dropped.
        started.send(()).unwrap_or_default();
    });
    let run = node.run_with(ExecSpec::shell("echo up; sleep 86461; echo never"), callbacks);
    // The select drops the run once its command is up.
    match futures_util::future::select(pin!(up.recv()), Box::pin(run)).await {
        Either::Left(_) => {}
        Either::Right((result, _)) => return failed(format!("the command ended by itself: {result:?}")),
    }
    until(async || Ok((!processes(&node).await?.contains("sleep 86461")).then_some(()))).await?;
    passed()
}

async fn g9_a_dropped_session_only_detaches(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "until [ -e /tmp/go ]; do sleep 0.05; done; echo done > /tmp/result";
    drop(node.exec(ExecSpec::shell(script)).await?);
    shell_text(&node, "echo > /tmp/go").await?;
    until(async || {
        let text = shell_text(&node, "cat /tmp/result 2>/dev/null; true").await?;
        Ok((text == "done\n").then_some(()))
    })
    .await?;
    passed()
}

async fn g9_a_dropped_provision_leaves_nothing(case: Case) -> Outcome {
    if case.alive().await?.is_none() {
        return skipped("the provider does not list by tag, so sandboxes cannot be counted");
    }
    let mut dropped = 0;
    for times in 1..=40 {
        match poll_times(case.provider().provision(case.spec()), times).await {
            None => dropped += 1,
            Some(info) => {
                case.provider().destroy(&info?.id).await?;
                break;
            }
        }
    }
    ensure!(dropped > 0, "provision ended at its first poll, so it could not be dropped midway");
    until(async || Ok(case.alive().await?.unwrap_or_default().is_empty().then_some(()))).await?;
    // What cleans up may not be racing with a sandbox that is only now being made: it must stay so.
    let node = case.node().await?;
    shell_text(&node, "true").await?;
    ensure_eq!(case.alive().await?.map(|all| all.len()), Some(1), "the sandboxes alive");
    passed()
}

async fn g9_a_dropped_read_loses_nothing(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done";
    let session = node.exec(ExecSpec::shell(script)).await?;
    let mut reader = session.output(OutputStream::Stdout, 0);
    let (mut next, mut whole) = (0, Vec::new());
    loop {
        // Every read is dropped once before it is allowed to end.
        let early = poll_times(reader.next_chunk(), 1).await;
        let chunk = match early {
            Some(chunk) => chunk?,
            None => reader.next_chunk().await?,
        };
        let Some(chunk) = chunk else { break };
        ensure_eq!(chunk.offset, next, "the offset of a chunk");
        next = chunk.end();
        whole.extend_from_slice(&chunk.data);
    }
    ensure!(whole == read_from(&*session, OutputStream::Stdout, 0).await?, "a dropped read lost bytes");
    ensure_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 300, "the number of lines");
    passed()
}

async fn g9_a_dropped_destroy_can_be_repeated(case: Case) -> Outcome {
    let node = case.node().await?;
    let _ended: Option<Result<(), Failure>> =
        poll_times(async { node.destroy().await.map_err(Failure::from) }, 2).await;
    node.destroy().await?;
    ensure_eq!(node.inspect().await?.state, openlattice::SandboxState::Terminated, "the state");
    passed()
}
