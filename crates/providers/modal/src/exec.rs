//! Starting commands.

use openlattice::{
    Bytes, Error, ErrorKind, ExecId, ExecResult, ExecSpec, Result, Retry, SandboxId, Stdin, Subject,
};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::exec_status;
use crate::error::Attempt;
use crate::key;
use crate::secret;
use crate::session::ModalSession;

const EXEC: Attempt = Attempt("exec");
const ATTACH: Attempt = Attempt("attach");

/// Starts a command whose spec was checked, and gives it its input.
pub(crate) async fn start(account: &Account, id: &SandboxId, spec: ExecSpec) -> Result<ModalSession> {
    let sandbox = account.sandbox(id);
    let command = command(account, &spec).await?;
    let exec = match sandbox.exec(&command).await {
        Ok(exec) => exec,
        Err(error) => return Err(not_started(account, id, &spec, error).await),
    };
    give_input(&exec, &spec.options.stdin).await.map_err(|error| {
        let error = EXEC.about(Subject::Exec)(error);
        // It runs: without an id of the caller's, repeating the call would start it a second time.
        if command.id.is_none() { error.with_retry(Retry::Never) } else { error }
    })?;
    let exec_id = spec.options.exec_id.unwrap_or_else(|| ExecId::new(exec.id()));
    Ok(ModalSession::new(exec, id.clone(), exec_id))
}

/// Follows a command that exists.
pub(crate) async fn attach(account: &Account, id: &SandboxId, exec_id: &ExecId) -> Result<ModalSession> {
    let sandbox = account.sandbox(id);
    let exec = sandbox.attach(&key::exec_id(exec_id)).await.map_err(ATTACH.about(Subject::Sandbox))?;
    exec.poll().await.map_err(ATTACH.about(Subject::Exec))?;
    Ok(ModalSession::new(exec, id.clone(), exec_id.clone()))
}

async fn command(account: &Account, spec: &ExecSpec) -> Result<modal::ExecSpec> {
    let options = &spec.options;
    Ok(modal::ExecSpec {
        workdir: options.cwd.clone(),
        secrets: secret::gather(account, &options.env, &options.secrets, EXEC).await?,
        timeout: options.timeout(),
        pty: options.pty.map(|size| modal::PtySize { rows: size.rows, cols: size.cols }),
        id: options.exec_id.as_ref().map(key::exec_id),
        ..modal::ExecSpec::new(spec.argv.iter().cloned())
    })
}

/// Says why a command was not started: the sandbox, the program, the directory, or something else.
async fn not_started(account: &Account, id: &SandboxId, spec: &ExecSpec, error: modal::Error) -> Error {
    use modal::ErrorKind as Theirs;
    match error.kind() {
        // A handle that was connected before learns of the sandbox's end in this way.
        Theirs::NotFound | Theirs::FailedPrecondition => {
            account.forget(id.as_str());
            Error::new(ErrorKind::NotFound, EXEC.0, error.to_string())
                .with_subject(Subject::Sandbox)
                .with_context("sandbox", id)
                .with_source(error)
        }
        Theirs::InvalidArgument => match &spec.options.cwd {
            Some(cwd) if is_no_directory(account, id, cwd).await => {
                Error::new(ErrorKind::NotFound, EXEC.0, format!("{cwd:?} is not a directory in the sandbox"))
                    .with_subject(Subject::WorkingDirectory)
                    .with_context("path", cwd)
                    .with_source(error)
            }
            _ => EXEC.failed()(error).with_context("sandbox", id),
        },
        Theirs::AlreadyExists => EXEC.about(Subject::Exec)(error),
        _ => EXEC.failed()(error).with_context("sandbox", id),
    }
}

async fn is_no_directory(account: &Account, id: &SandboxId, path: &str) -> bool {
    // A trailing dot follows a link to a directory.
    match account.sandbox(id).stat(&format!("{}/.", path.trim_end_matches('/'))).await {
        Ok(entry) => entry.kind != modal::FileType::Directory,
        Err(error) => {
            matches!(error.kind(), modal::ErrorKind::NotFound | modal::ErrorKind::NotADirectory)
                && error.path().is_some()
        }
    }
}

async fn give_input(exec: &modal::Exec, stdin: &Stdin) -> Result<(), modal::Error> {
    match stdin {
        Stdin::Open => Ok(()),
        Stdin::Closed => exec.give_stdin(Bytes::new()).await,
        Stdin::Bytes(bytes) => exec.give_stdin(bytes.clone()).await,
    }
}

/// Follows a command to its end and keeps all of its output.
pub(crate) async fn collect(exec: &modal::Exec) -> Result<ExecResult, modal::Error> {
    let mut stdout = exec.output(modal::OutputStream::Stdout, 0);
    let mut stderr = exec.output(modal::OutputStream::Stderr, 0);
    let (out, err, end) = tokio::try_join!(whole(&mut stdout), whole(&mut stderr), exec.wait())?;
    Ok(ExecResult {
        status: exec_status(&end),
        stdout: out,
        stderr: err,
        stdout_dropped_from: stdout.dropped().map(|dropped| dropped.from),
        stderr_dropped_from: stderr.dropped().map(|dropped| dropped.from),
    })
}

async fn whole(output: &mut modal::Output) -> Result<Bytes, modal::Error> {
    let mut kept = Vec::new();
    while let Some(chunk) = output.read().await? {
        kept.extend_from_slice(&chunk);
    }
    Ok(kept.into())
}
