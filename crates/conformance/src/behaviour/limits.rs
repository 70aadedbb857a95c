//! Bounds on what a sandbox uses.

use openlattice::{ExecEnd, ExecSpec, ExitStatus};

use super::behaviours;
use crate::case::{Case, shell, shell_text};
use crate::verdict::{Outcome, ensure, ensure_eq, must_refuse, passed};

behaviours![
    g6_a_memory_limit_holds_or_is_refused,
    g6_a_pids_limit_holds_or_is_refused,
    g6_a_cpu_limit_is_taken_or_refused,
    g7_a_memory_kill_is_told_apart,
];

/// Sixty-four mebibytes.
const SMALL: u64 = 64 << 20;

/// Fills far more memory than a small sandbox has: a buffer of a gibibyte.
const HOG: [&str; 5] = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1073741824", "count=1"];

async fn g6_a_memory_limit_holds_or_is_refused(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.resources.memory_limit_bytes = Some(SMALL);
    if !case.offers().limits.memory_limit {
        return must_refuse(case.provision(spec).await, "resources.memoryLimitBytes");
    }
    let node = case.node_of(spec).await?;
    let result = node.run(ExecSpec::new(HOG)).await?;
    ensure!(!result.is_success(), "a gibibyte fitted into 64 MiB");
    passed()
}

async fn g7_a_memory_kill_is_told_apart(case: Case) -> Outcome {
    if !case.offers().limits.memory_limit {
        return crate::verdict::skipped("memory limits are not offered, and another test proves the refusal");
    }
    let mut spec = case.spec();
    spec.resources.memory_limit_bytes = Some(SMALL);
    let node = case.node_of(spec).await?;
    let result = node.run(ExecSpec::new(HOG)).await?;
    if case.offers().exec.tells_out_of_memory {
        ensure_eq!(result.status.reason, ExecEnd::OutOfMemory, "the reason");
    } else {
        ensure!(result.status.exit != ExitStatus::Code(0), "the kill shows as success");
    }
    passed()
}

async fn g6_a_pids_limit_holds_or_is_refused(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.resources.pids_limit = Some(24);
    if !case.offers().limits.pids {
        return must_refuse(case.provision(spec).await, "resources.pidsLimit");
    }
    let node = case.node_of(spec).await?;
    let script = "i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done; echo all";
    let result = shell(&node, script).await?;
    ensure!(result.stdout_text() != "all\n", "sixty processes fitted into a limit of 24");
    passed()
}

async fn g6_a_cpu_limit_is_taken_or_refused(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.resources.cpu_limit_millis = Some(500);
    if !case.offers().limits.cpu_limit {
        return must_refuse(case.provision(spec).await, "resources.cpuLimitMillis");
    }
    let node = case.node_of(spec).await?;
    ensure_eq!(shell_text(&node, "echo on").await?, "on\n", "a command under a limit");
    passed()
}
