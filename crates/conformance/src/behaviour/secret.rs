//! Secrets: they reach the command, and nothing else.

use openlattice::{ErrorKind, ExecSpec, SecretSource};

use super::behaviours;
use crate::case::{Case, processes, shell_text};
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    g8_variables_do_not_show_in_process_lists,
    g8_variables_do_not_show_in_errors_or_debug,
    g8_secret_values_reach_commands_or_are_refused,
];

async fn g8_variables_do_not_show_in_process_lists(case: Case) -> Outcome {
    if !case.offers().exec.env || !case.offers().runtime.env {
        return skipped("variables are not offered, and other tests prove the refusals");
    }
    let (outer, inner) = (case.unique("planted-outer"), case.unique("planted-inner"));
    let node = case.node_of(case.spec().with_env("LATTICE_OUTER", &outer)).await?;
    let spec = ExecSpec::new(["sleep", "86451"]).with_env("LATTICE_INNER", &inner);
    let _session = node.exec(spec).await?;
    let mut seen = processes(&node).await?;
    ensure!(seen.contains("sleep 86451"), "the command is not in the sandbox's process list");
    seen.push_str(&processes_of_this_machine());
    for secret in [&outer, &inner] {
        ensure!(!seen.contains(secret.as_str()), "a variable's value is in a process list");
    }
    passed()
}

/// Returns the command lines of all processes of the machine that runs the suite; empty where there is no /proc.
fn processes_of_this_machine() -> String {
    let Ok(entries) = std::fs::read_dir("/proc") else { return String::new() };
    let lines = entries.flatten().filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect()
}

async fn g8_variables_do_not_show_in_errors_or_debug(case: Case) -> Outcome {
    if !case.offers().exec.env {
        return skipped("variables are not offered, and another test proves the refusal");
    }
    let secret = case.unique("planted-error");
    let node = case.node().await?;
    let spec = ExecSpec::new(["/no/such/program"]).with_env("LATTICE_S", &secret);
    let kinds = [ErrorKind::NotFound, ErrorKind::InvalidArgument];
    let error = must_fail(node.run(spec.clone()).await, &kinds, "a missing program")?;
    let session = node.exec(ExecSpec::new(["true"]).with_env("LATTICE_S", &secret)).await?;
    let shown = format!("{error} {error:?} {spec:?} {session:?} {node:?} {:?}", case.provider());
    ensure!(!shown.contains(&secret), "a variable's value is in Debug or Display");
    passed()
}

async fn g8_secret_values_reach_commands_or_are_refused(case: Case) -> Outcome {
    let secret = case.unique("planted-value");
    let mut spec = case.spec();
    spec.secrets = vec![SecretSource::Values([("LATTICE_SECRET", secret.clone())].into_iter().collect())];
    if !case.offers().runtime.secret_values {
        return must_refuse(case.provision(spec).await, "secrets");
    }
    let node = case.node_of(spec).await?;
    ensure_eq!(shell_text(&node, "printf %s \"$LATTICE_SECRET\"").await?, secret, "the variable");
    ensure!(!format!("{:?}", node.inspect().await?).contains(&secret), "the value is in what inspect says");
    passed()
}
