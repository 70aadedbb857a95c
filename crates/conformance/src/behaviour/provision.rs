//! `provision`: one sandbox, its image, and nothing left where it fails.

use openlattice::{ErrorKind, ExecSpec, RegistryCredentials, SandboxState, Subject};

use super::behaviours;
use crate::case::{Case, shell_text};
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, passed, skipped};

behaviours![
    m01_the_provider_has_its_name,
    m02_capabilities_serialise_and_come_back,
    m04_provision_makes_exactly_one_running_sandbox,
    m04_two_provisions_make_two_sandboxes,
    m05_a_known_image_is_used,
    m05_a_registry_image_is_resolved,
    m05_registry_credentials_are_honoured,
    m05_a_registry_without_the_right_credentials_leaves_nothing,
    m05_a_missing_image_is_not_found_and_leaves_nothing,
    m05_without_an_image_the_default_is_used,
    m10_the_initial_command_runs_before_provision_answers,
    m10_a_failing_initial_command_fails_provision_with_its_output,
    m10_a_missing_initial_program_fails_provision,
];

async fn m01_the_provider_has_its_name(case: Case) -> Outcome {
    ensure_eq!(case.provider().name(), case.settings().name, "the name");
    passed()
}

async fn m02_capabilities_serialise_and_come_back(case: Case) -> Outcome {
    let text = serde_json::to_string(case.offers())?;
    ensure_eq!(
        &serde_json::from_str::<openlattice::Capabilities>(&text)?,
        case.offers(),
        "after a round trip"
    );
    ensure!(!case.offers().architectures.is_empty(), "no architecture is declared");
    let again = case.provider().capabilities();
    ensure_eq!(again, case.offers(), "asked again");
    passed()
}

async fn m04_provision_makes_exactly_one_running_sandbox(case: Case) -> Outcome {
    let info = case.provision(case.spec()).await?;
    ensure!(!info.id.as_str().is_empty(), "the id is empty");
    ensure_eq!(info.state, SandboxState::Running, "the state");
    ensure!(info.owner.is_none(), "a plain sandbox has an owner: {:?}", info.owner);
    let Some(alive) = case.alive().await? else {
        return skipped("the provider does not list by tag, so sandboxes cannot be counted");
    };
    ensure_eq!(alive.iter().map(|one| &one.id).collect::<Vec<_>>(), vec![&info.id], "the sandboxes alive");
    passed()
}

async fn m04_two_provisions_make_two_sandboxes(case: Case) -> Outcome {
    let (first, second) = (case.node().await?, case.node().await?);
    ensure!(first.id() != second.id(), "both have the id {}", first.id());
    shell_text(&first, "echo first > /tmp/mark").await?;
    let seen = shell_text(&second, "cat /tmp/mark 2>/dev/null; true").await?;
    ensure_eq!(seen, "", "what the second sandbox sees of the first one's file");
    passed()
}

async fn m05_a_known_image_is_used(case: Case) -> Outcome {
    let info = case.provision(case.spec()).await?;
    let image = case.provider().inspect(&info.id).await?.image;
    ensure!(image.as_ref().is_none_or(|name| !name.is_empty()), "the image is reported as an empty text");
    passed()
}

async fn m05_a_registry_image_is_resolved(case: Case) -> Outcome {
    let Some(image) = case.settings().registry_image.clone() else {
        return skipped("no registry image was given to the suite");
    };
    let mut spec = case.spec();
    spec.runtime.image = Some(image);
    let node = case.node_of(spec).await?;
    ensure!(
        node.run(ExecSpec::new(["/bin/sh", "-c", "exit 0"])).await?.is_success(),
        "the image does not run"
    );
    passed()
}

async fn m05_registry_credentials_are_honoured(case: Case) -> Outcome {
    let mut spec = case.spec();
    if !case.offers().runtime.registry_credentials {
        spec.runtime.registry = Some(RegistryCredentials { username: "u".to_owned(), password: "p".into() });
        return crate::verdict::must_refuse(case.provision(spec).await, "runtime.registry");
    }
    let Some((image, credentials)) = case.settings().private_image.clone() else {
        return skipped("no private image was given to the suite");
    };
    spec.runtime.image = Some(image);
    spec.runtime.registry = Some(credentials);
    let node = case.node_of(spec).await?;
    let ran = node.run(ExecSpec::new(["/bin/sh", "-c", "exit 0"])).await?;
    ensure!(ran.is_success(), "the image does not run");
    passed()
}

async fn m05_a_registry_without_the_right_credentials_leaves_nothing(case: Case) -> Outcome {
    let Some((image, good)) =
        case.settings().private_image.clone().filter(|_| case.offers().runtime.registry_credentials)
    else {
        return skipped("no private image was given to the suite, or no credentials are offered");
    };
    // Another name of the image, in case a provider keeps what it has pulled under the one that works.
    let image = format!("{image}-without-credentials");
    let wrong = RegistryCredentials { password: "g6-planted-wrong".into(), ..good };
    // Registries may hide from strangers what they have.
    let kinds = [ErrorKind::Unauthenticated, ErrorKind::PermissionDenied, ErrorKind::NotFound];
    for credentials in [Some(wrong), None] {
        let mut spec = case.spec();
        spec.runtime.image = Some(image.clone());
        spec.runtime.registry = credentials;
        let error = must_fail(case.provision(spec).await, &kinds, "a pull without the right credentials")?;
        ensure_eq!(error.subject(), Some(Subject::Image), "the subject");
        let shown = format!("{error:?} {error}");
        ensure!(!shown.contains("g6-planted-wrong"), "the error shows the password: {shown}");
    }
    case.nothing_alive("after a refused pull").await?;
    passed()
}

async fn m05_a_missing_image_is_not_found_and_leaves_nothing(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.runtime.image = Some(case.settings().missing_image.clone());
    let result = case.provision(spec).await;
    // A provider that cannot pull at all may say so instead, and where no registry is at hand it cannot be reached.
    let kinds = match &case.settings().registry_image {
        Some(_) => &[ErrorKind::NotFound][..],
        None => &[ErrorKind::NotFound, ErrorKind::Unsupported, ErrorKind::Unavailable],
    };
    let error = must_fail(result, kinds, "a missing image")?;
    if error.kind() == ErrorKind::NotFound {
        ensure_eq!(error.subject(), Some(Subject::Image), "the subject");
    }
    case.nothing_alive("after a failed provision").await?;
    passed()
}

async fn m05_without_an_image_the_default_is_used(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.runtime.image = None;
    let info = case.provision(spec).await?;
    ensure_eq!(info.state, SandboxState::Running, "the state");
    passed()
}

async fn m10_the_initial_command_runs_before_provision_answers(case: Case) -> Outcome {
    let spec = case.spec().with_command(["/bin/sh", "-c", "echo made > /tmp/initial"]);
    if !case.offers().runtime.command {
        return crate::verdict::must_refuse(case.provision(spec).await, "runtime.command");
    }
    let node = case.node_of(spec).await?;
    ensure_eq!(shell_text(&node, "cat /tmp/initial").await?, "made\n", "the initial command's file");
    passed()
}

async fn m10_a_failing_initial_command_fails_provision_with_its_output(case: Case) -> Outcome {
    if !case.offers().runtime.command {
        return skipped("initial commands are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_command(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
    let error =
        must_fail(case.provision(spec).await, &[ErrorKind::FailedPrecondition], "the failing command")?;
    ensure_eq!(error.subject(), Some(Subject::InitialCommand), "the subject");
    let Some(output) = error.output() else { return crate::verdict::failed("the error carries no output") };
    ensure_eq!(output.exit_code(), 7, "the exit code");
    ensure_eq!(output.stdout_text(), "out\n", "standard output");
    ensure_eq!(output.stderr_text(), "err\n", "standard error");
    case.nothing_alive("after a failing initial command").await?;
    passed()
}

async fn m10_a_missing_initial_program_fails_provision(case: Case) -> Outcome {
    if !case.offers().runtime.command {
        return skipped("initial commands are not offered, and another test proves the refusal");
    }
    let spec = case.spec().with_command(["/no/such/program"]);
    let kinds = [ErrorKind::FailedPrecondition, ErrorKind::NotFound, ErrorKind::InvalidArgument];
    must_fail(case.provision(spec).await, &kinds, "the missing program")?;
    case.nothing_alive("after a missing initial program").await?;
    passed()
}
