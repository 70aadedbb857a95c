//! Starts a command.

use super::{
    ExecSpec,
    folder::{self, Claim},
    spool::Window,
    terminal, user,
};
use crate::{
    agent::{ExecBody, ExecFiles, Refusal},
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::{ExecId, SandboxId},
    lifecycle::{
        plan,
        settle::{TEARDOWN, settle},
    },
    protocol::stage,
    store::{Phase, SandboxRow},
};
use rustix::{fs::FlockOperation, io::Errno};
use std::sync::Arc;

const SIGKILL: u32 = 9;

/// Starts a command in a running sandbox. The body runs in a task of its own, so that a dropped future leaves a command that is
/// started or one that is not.
pub(crate) async fn start(engine: &Engine, id: &SandboxId, spec: ExecSpec) -> Result<ExecId> {
    check(&spec)?;
    let (body, id, nameless) = (engine.clone(), id.clone(), spec.id.is_none());
    let started = engine.detached(async move {
        begin(&body, &id, spec, false).await.map(|exec| Started { engine: body, id, exec, kill: nameless })
    });
    Ok(started.await?.take())
}

/// Starts the main command of a sandbox that is being made.
pub(crate) async fn start_main(engine: &Engine, id: &SandboxId, spec: ExecSpec) -> Result<()> {
    begin(engine, id, spec, true).await.map(|_exec| ())
}

/// A started command on its way to the caller. Dropped there, one whose id nobody knows is killed.
struct Started {
    engine: Engine,
    id: SandboxId,
    exec: ExecId,
    kill: bool,
}

impl Started {
    fn take(mut self) -> ExecId {
        self.kill = false;
        self.exec.clone()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.kill, tokio::runtime::Handle::try_current()) {
            let (engine, id, exec) = (self.engine.clone(), self.id.clone(), self.exec.clone());
            drop(runtime.spawn(async move {
                if let Ok(agent) = engine.agent(&id).await {
                    // One that has ended needs no kill; a sandbox that has ended killed it.
                    drop(agent.signal(exec.as_str(), SIGKILL, true).await);
                }
            }));
        }
    }
}

fn check(spec: &ExecSpec) -> Result<()> {
    if spec.argv.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("a command needs a program"));
    }
    plan::check_arguments(&spec.argv)?;
    plan::check_env(&spec.env)?;
    if let Some(workdir) = &spec.workdir {
        plan::check_workdir(workdir)?;
    }
    if spec.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
        return Err(Error::invalid("a timeout of less than a millisecond: leave it out for none"));
    }
    Ok(())
}

/// A command about to be asked for.
struct Prepared {
    exec: ExecId,
    claim: Claim,
    /// `None` when it was started before.
    files: Option<ExecFiles>,
    /// Who runs it, as the image or the caller writes it.
    user: String,
}

/// A start that failed. Without an answer it may have worked: its folder stays, and the next start of the same id finds out.
struct NotStarted {
    error: Error,
    certain: bool,
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self { error, certain: true }
    }
}

async fn begin(engine: &Engine, id: &SandboxId, spec: ExecSpec, main: bool) -> Result<ExecId> {
    let (name, spec) = (id.clone(), Arc::new(spec));
    let asked = Arc::clone(&spec);
    let prepared = engine.blocking(move |inner| prepare(inner, &name, &asked, main)).await?;
    let Prepared { exec, claim, files: Some(files), user } = prepared else { return Ok(prepared.exec) };
    match ask(engine, id, &spec, &exec, (files, user), main).await {
        Ok(()) => Ok(exec),
        Err(NotStarted { error, certain }) => {
            if certain {
                // What cannot be removed has no status and is taken over by the next start of the same id.
                drop(engine.blocking(move |_| claim.discard()).await);
            }
            Err(error)
        }
    }
}

fn prepare(inner: &Inner, id: &SandboxId, spec: &ExecSpec, main: bool) -> Result<Prepared> {
    let row = living(inner, id, main)?;
    let exec = spec.id.clone().unwrap_or_else(ExecId::random);
    let claim = folder::claim(folder::path(inner, id, &exec))?;
    if claim.started {
        claim.require_same(&exec, spec.fingerprint.as_deref())?;
        return Ok(Prepared { exec, claim, files: None, user: String::new() });
    }
    let user = match (spec.uid, &spec.user) {
        (Some(uid), _) => uid.to_string(),
        (None, Some(user)) => user.clone(),
        (None, None) => inner.store.image_user(&row.info.image)?,
    };
    let files = Some(files(&claim, spec)?);
    claim.remember(spec.fingerprint.as_deref())?;
    Ok(Prepared { exec, claim, files, user })
}

/// The row of a sandbox that can run commands. Whether its agent lives shows when it is asked; only what must be mended first is.
fn living(inner: &Inner, id: &SandboxId, main: bool) -> Result<SandboxRow> {
    let row = inner.store.sandbox_row(id)?;
    if main || (row.phase == Phase::Running && row.ending.is_none() && !row.frozen) {
        return Ok(row);
    }
    if row.frozen {
        // A command that starts frozen would not answer: the snapshot is waited for, and a dead one's freeze lifted below.
        drop(inner.lock_snapshot(id, FlockOperation::LockShared));
    }
    let row = settle(inner, row, TEARDOWN)?;
    row.require_running()?;
    Ok(row)
}

async fn ask(
    engine: &Engine,
    id: &SandboxId,
    spec: &ExecSpec,
    exec: &ExecId,
    (files, user): (ExecFiles, String),
    main: bool,
) -> Result<(), NotStarted> {
    let agent = engine.agent(id).await?;
    let user = user::resolve(engine, &agent, &user).await?;
    let body = ExecBody {
        argv: spec.argv.clone(),
        env: spec.env.clone(),
        cwd: spec.workdir.clone(),
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        timeout: spec.timeout,
        output_quota: engine.inner().config.output_quota,
        output_window: Window::of(&engine.inner().config).hold,
        reader_patience: engine.inner().config.reader_patience,
        main,
        merge: spec.merge_stderr,
        terminal: spec.terminal,
    };
    agent.exec(exec.as_str(), body, files).await.map_err(|refusal| {
        let certain = !matches!(refusal, Refusal::Silent);
        NotStarted { error: not_started(spec, refusal), certain }
    })
}

/// The files of a command. Both output spools exist always, so that a reader of a discarded stream finds its end.
fn files(claim: &Claim, spec: &ExecSpec) -> Result<ExecFiles> {
    let (stdout, stderr) = (claim.file("stdout")?, claim.file("stderr")?);
    Ok(ExecFiles {
        status: claim.file("status")?,
        stdin: spec.stdin.then(|| claim.file("stdin")).transpose()?,
        stdout: (!spec.discard_stdout).then_some(stdout),
        stderr: (!spec.discard_stderr && !spec.merge_stderr && spec.terminal.is_none()).then_some(stderr),
    })
}

/// The error of a start that failed.
fn not_started(spec: &ExecSpec, refusal: Refusal) -> Error {
    let program = spec.argv.first().map_or("", String::as_str);
    let (kind, message) = match refusal {
        Refusal::Agent { errno, stage: stage::EXEC } if errno == Errno::NOENT || errno == Errno::NOTDIR => {
            (ErrorKind::ProgramNotFound, format!("the sandbox has no program {program:?}"))
        }
        Refusal::Agent { errno, stage: stage::EXEC }
            if [Errno::ACCESS, Errno::NOEXEC, Errno::PERM, Errno::ISDIR].contains(&errno) =>
        {
            (ErrorKind::ProgramNotExecutable, format!("the program {program:?} is not executable"))
        }
        Refusal::Agent { errno: Errno::TOOBIG, .. } => {
            (ErrorKind::InvalidArgument, format!("the arguments and environment of {program:?} are too long"))
        }
        Refusal::Agent { errno: Errno::NOSPC, stage: stage::TERMINAL } => {
            (ErrorKind::ResourceExhausted, "the sandbox has no terminal left: it has 256 at most".to_owned())
        }
        Refusal::Agent { errno: Errno::ACCESS | Errno::PERM | Errno::NOENT, stage: stage::TERMINAL } => (
            ErrorKind::FailedPrecondition,
            "the sandbox gives no terminal: somebody in it has closed its /dev/pts".to_owned(),
        ),
        Refusal::Old => return terminal::too_old().with_source(refusal),
        Refusal::Agent { stage: stage::CWD, .. } => {
            let workdir = spec.workdir.as_deref().unwrap_or("the sandbox's own");
            (ErrorKind::InvalidArgument, format!("cannot enter the working directory {workdir:?}"))
        }
        _ => return refused(&format!("cannot start {program:?}"), refusal),
    };
    Error::new(kind, message).with_source(refusal)
}

/// The error of a request that an agent refused or did not answer.
pub(super) fn refused(what: &str, refusal: Refusal) -> Error {
    let exhausted = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC];
    let kind = if exhausted.iter().any(|errno| refusal.is(*errno)) {
        ErrorKind::ResourceExhausted
    } else {
        ErrorKind::Internal
    };
    Error::new(kind, what).with_source(refusal)
}
