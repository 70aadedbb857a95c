//! `provision`: what a spec can ask for.

use openlattice::{EndReason, ErrorKind, Gpu, NetworkPolicy, Readiness, SandboxState, Secret, Subject};

use super::behaviours;
use crate::case::{Case, shell_text, until};
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m04_a_readiness_probe_is_repeated_until_it_passes,
    m04_a_readiness_probe_waits_for_what_the_initial_command_makes,
    m06_a_gpu_type_is_honoured_or_refused,
    m07_a_gpu_without_a_type_is_honoured_or_refused,
    m08_the_life_time_ends_the_sandbox,
    m08_the_idle_time_ends_the_sandbox,
    m09_the_working_directory_holds_for_all_commands,
    m11_a_failing_tailnet_fails_provision_and_hides_the_key,
    m11_a_sandbox_joins_the_tailnet,
    m14_variables_of_the_sandbox_hold_for_all_commands,
    g6_a_blocked_network_has_loopback_only,
];

async fn m04_a_readiness_probe_is_repeated_until_it_passes(case: Case) -> Outcome {
    // The first try makes one folder and fails; the second makes the other.
    let script = "if mkdir /tmp/first; then exit 1; fi; exec mkdir /tmp/second";
    let mut spec = case.spec();
    spec.readiness = Some(Readiness::Command(["sh", "-c", script].map(str::to_owned).into()));
    if !case.offers().runtime.readiness {
        return must_refuse(case.provision(spec).await, "readiness");
    }
    let node = case.node_of(spec).await?;
    ensure_eq!(
        shell_text(&node, "ls -d /tmp/first /tmp/second").await?,
        "/tmp/first\n/tmp/second\n",
        "the folders"
    );
    passed()
}

async fn m04_a_readiness_probe_waits_for_what_the_initial_command_makes(case: Case) -> Outcome {
    if !case.offers().runtime.command || !case.offers().runtime.readiness {
        return skipped(
            "initial commands and readiness are not both offered, and another test proves the refusal",
        );
    }
    // The probe passes only after the command: a provider that waits for it first waits for ever.
    let mut spec = case.spec().with_command(["sh", "-c", "echo made > /tmp/made"]);
    let probe = ["sh", "-c", "test -e /tmp/made && echo ready > /tmp/ready"];
    spec.readiness = Some(Readiness::Command(probe.map(str::to_owned).into()));
    let node = case.node_of(spec).await?;
    ensure_eq!(shell_text(&node, "cat /tmp/made /tmp/ready").await?, "made\nready\n", "what was made");
    passed()
}

async fn m06_a_gpu_type_is_honoured_or_refused(case: Case) -> Outcome {
    let Some(gpu) = case.settings().gpu.clone() else {
        return a_gpu_is_never_ignored(&case, Gpu { count: Some(2), ..Gpu::default() }).await;
    };
    let mut spec = case.spec();
    spec.gpu = Some(Gpu { gpu_type: Some(gpu), count: Some(1), fallback: Vec::new() });
    let node = case.node_of(spec).await?;
    ensure!(!shell_text(&node, "nvidia-smi -L").await?.is_empty(), "no GPU is visible");
    passed()
}

async fn m07_a_gpu_without_a_type_is_honoured_or_refused(case: Case) -> Outcome {
    if case.settings().gpu.is_none() {
        return a_gpu_is_never_ignored(&case, Gpu::default()).await;
    }
    let mut spec = case.spec();
    spec.gpu = Some(Gpu::default());
    let node = case.node_of(spec).await?;
    ensure!(!shell_text(&node, "nvidia-smi -L").await?.is_empty(), "no GPU is visible");
    passed()
}

/// Where no GPU is to be had, asking for one fails, and leaves nothing.
async fn a_gpu_is_never_ignored(case: &Case, gpu: Gpu) -> Outcome {
    let mut spec = case.spec();
    spec.gpu = Some(gpu);
    let result = case.provision(spec).await;
    if !case.offers().gpu {
        must_refuse(result, "gpu")?;
    } else {
        let kinds = [
            ErrorKind::Unsupported,
            ErrorKind::ResourceExhausted,
            ErrorKind::FailedPrecondition,
            ErrorKind::InvalidArgument,
        ];
        must_fail(result, &kinds, "a GPU where there is none")?;
    }
    case.nothing_alive("after a refused GPU").await?;
    passed()
}

async fn m08_the_life_time_ends_the_sandbox(case: Case) -> Outcome {
    let spec = case.spec().with_max_seconds(1);
    if !case.offers().lifetime.max {
        return must_refuse(case.provision(spec).await, "duration.maxSeconds");
    }
    ends_with(&case, spec, EndReason::TimedOut).await
}

async fn m08_the_idle_time_ends_the_sandbox(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.duration.idle_seconds = Some(1);
    if !case.offers().lifetime.idle {
        return must_refuse(case.provision(spec).await, "duration.idleSeconds");
    }
    ends_with(&case, spec, EndReason::IdleTimedOut).await
}

async fn ends_with(case: &Case, spec: openlattice::ProvisionSpec, reason: EndReason) -> Outcome {
    let node = case.node_of(spec).await?;
    let end = until(async || {
        let info = node.inspect().await?;
        Ok((info.state == SandboxState::Terminated).then_some(info.end))
    })
    .await?;
    ensure_eq!(end.map(|end| end.reason), Some(reason), "the reason of the end");
    passed()
}

async fn m09_the_working_directory_holds_for_all_commands(case: Case) -> Outcome {
    let spec = case.spec().with_workdir("/tmp");
    if !case.offers().runtime.workdir {
        return must_refuse(case.provision(spec).await, "runtime.workdir");
    }
    let node = case.node_of(spec).await?;
    ensure_eq!(shell_text(&node, "pwd").await?, "/tmp\n", "the working directory");
    ensure_eq!(shell_text(&node, "pwd").await?, "/tmp\n", "the working directory of a second command");
    passed()
}

async fn m11_a_failing_tailnet_fails_provision_and_hides_the_key(case: Case) -> Outcome {
    let key = case.unique("tskey-planted");
    let mut spec = case.spec();
    spec.network.tailscale_auth_key = Some(Secret::new(key.clone()));
    let result = case.provision(spec).await;
    if !case.offers().tailscale {
        return must_refuse(result, "network.tailscaleAuthKey");
    }
    let kinds = [
        ErrorKind::FailedPrecondition,
        ErrorKind::NotFound,
        ErrorKind::Unauthenticated,
        ErrorKind::Unsupported,
    ];
    let error = must_fail(result, &kinds, "a made-up tailnet key")?;
    ensure_eq!(error.subject(), Some(Subject::Tailnet), "the subject of {error}");
    ensure!(!shown(&error).contains(&key), "the key shows in the error");
    case.nothing_alive("after a failing tailnet").await?;
    passed()
}

async fn m11_a_sandbox_joins_the_tailnet(case: Case) -> Outcome {
    let Some(key) = case.settings().tailscale_auth_key.clone() else {
        return skipped("no tailnet key was given to the suite");
    };
    let mut spec = case.spec();
    spec.network.tailscale_auth_key = Some(key.clone());
    if !case.offers().tailscale {
        return must_refuse(case.provision(spec).await, "network.tailscaleAuthKey");
    }
    let node = case.node_of(spec).await?;
    let processes = crate::case::processes(&node).await?;
    ensure!(!processes.contains(key.expose()), "the key shows in the process list");
    passed()
}

/// Returns all that an error shows.
fn shown(error: &openlattice::Error) -> String {
    let mut text = format!("{error} {error:?}");
    if let Some(output) = error.output() {
        text.push_str(&output.stdout_text());
        text.push_str(&output.stderr_text());
    }
    text
}

async fn m14_variables_of_the_sandbox_hold_for_all_commands(case: Case) -> Outcome {
    let spec = case.spec().with_env("LATTICE_A", "a b $HOME \"'").with_env("LATTICE_EMPTY", "");
    if !case.offers().runtime.env {
        return must_refuse(case.provision(spec).await, "env");
    }
    let node = case.node_of(spec).await?;
    let script = "printf '%s|%s' \"$LATTICE_A\" \"${LATTICE_EMPTY-unset}\"";
    ensure_eq!(shell_text(&node, script).await?, "a b $HOME \"'|", "the variables");
    passed()
}

async fn g6_a_blocked_network_has_loopback_only(case: Case) -> Outcome {
    let spec = case.spec().with_network(NetworkPolicy::Blocked);
    if !case.offers().networking.blocked {
        return must_refuse(case.provision(spec).await, "network.policy");
    }
    let node = case.node_of(spec).await?;
    let devices = shell_text(&node, "cat /proc/net/dev").await?;
    let names: Vec<_> =
        devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    let routes = shell_text(&node, "cat /proc/net/route 2>/dev/null; true").await?;
    ensure!(names == ["lo"] || routes.lines().count() <= 1, "devices {names:?} and routes {routes:?}");
    passed()
}
