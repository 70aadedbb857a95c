//! What the child of the agent does between the fork and the new program.

use crate::environment;
use crate::launch::{At, Failure};
use crate::plan::Plan;
use crate::protocol::stage;
use crate::setup::{self, Handles};
use crate::start::Command;
use crate::sys::{self, Errno, Fd};

/// Descriptors of the child.
pub(crate) struct Ends {
    /// Becomes 0, 1, 2.
    pub(crate) standard: [i32; 3],
    /// They are the line of a terminal, which is to be the command's own.
    pub(crate) terminal: bool,
    /// Where a failure is reported.
    pub(crate) report: i32,
}

/// Place of the report pipe in the child: the only descriptor beside the standard ones.
const REPORT: i32 = 3;

/// Becomes the command, or reports what stopped it and ends.
pub(crate) fn run(plan: &Plan, handles: &Handles, command: &Command<'_>, ends: &Ends) -> ! {
    let mut report = ends.report;
    if let Err(failure) = become_command(plan, handles, command, ends, &mut report) {
        let mut bytes = [0u8; 8];
        bytes[..4].copy_from_slice(&failure.stage.to_le_bytes());
        bytes[4..].copy_from_slice(&failure.errno.0.to_le_bytes());
        // An agent that does not hear of it sees a command that exited with 127.
        let _ = sys::write(report, &bytes);
    }
    sys::exit(127)
}

fn become_command(
    plan: &Plan,
    handles: &Handles,
    command: &Command<'_>,
    ends: &Ends,
    report: &mut i32,
) -> Result<(), Failure> {
    let argv = environment::arguments(command.argv).at(stage::RESOURCES)?;
    let envp = environment::environment(plan.environment, command.environment, command.uid, ends.terminal)
        .at(stage::RESOURCES)?;
    sys::set_capabilities(setup::permitted(plan), setup::permitted(plan)).at(stage::PRIVILEGES)?;
    join_groups(&handles.tasks).at(stage::CGROUP)?;
    sys::setsid();
    place_descriptors(ends, report).at(stage::RESOURCES)?;
    if ends.terminal {
        take_terminal(command).at(stage::TERMINAL)?;
    }
    take_identity(plan, command).at(stage::PRIVILEGES)?;
    enter_directory(command).at(stage::CWD)?;
    sys::set_signal_mask(0).at(stage::PRIVILEGES)?;
    if !plan.seccomp.is_empty() {
        sys::seccomp(plan.seccomp).at(stage::SECCOMP)?;
    }
    expose_to_oom().at(stage::PRIVILEGES)?;
    Err(Failure { stage: stage::EXEC, errno: environment::execute(&argv, &envp) })
}

/// Joins the v1 groups (`tasks` takes no global lock, `cgroup.procs` does) and makes them the root of what the command sees.
fn join_groups(tasks: &[Fd]) -> sys::Result<()> {
    for file in tasks.iter().filter(|file| file.is_some()) {
        sys::write(file.raw(), b"0")?;
    }
    sys::unshare(sys::CLONE_NEWCGROUP)
}

/// Leaves the standard descriptors and the report pipe, nothing else.
fn place_descriptors(ends: &Ends, report: &mut i32) -> sys::Result<()> {
    for (target, fd) in (0..).zip(ends.standard) {
        sys::duplicate(fd, target)?;
    }
    if *report != REPORT {
        sys::duplicate_cloexec(*report, REPORT)?;
        *report = REPORT;
    }
    sys::close_range(REPORT + 1, u32::MAX)
}

/// Makes the terminal on the standard descriptors the command's: its user's, who may open it again by name, and its session's.
fn take_terminal(command: &Command<'_>) -> sys::Result<()> {
    const STANDARD_INPUT: i32 = 0;
    sys::set_owner(STANDARD_INPUT, command.uid)?;
    sys::set_controlling(STANDARD_INPUT)
}

/// The command's limits, ids and capabilities. The bounding set and no_new_privs come from the agent.
fn take_identity(plan: &Plan, command: &Command<'_>) -> sys::Result<()> {
    if plan.nofile > 0 {
        sys::set_limit(sys::RLIMIT_NOFILE, plan.nofile, plan.nofile)?;
    }
    sys::set_groups(command.groups())?;
    sys::set_gid(command.gid)?;
    sys::set_uid(command.uid)?;
    // A change of identity resets it to the host's fs.suid_dumpable; until the filter is in place nobody inside may look in here.
    sys::prctl(sys::PR_SET_DUMPABLE, 0)?;
    let kept = if command.uid == 0 { plan.capabilities } else { 0 };
    sys::set_capabilities(kept, kept)
}

fn enter_directory(command: &Command<'_>) -> sys::Result<()> {
    sys::chdir(command.cwd)?;
    // A directory outside the root could only be reached through a leaked descriptor: refuse to start there.
    if sys::cwd_is_reachable()? { Ok(()) } else { Err(Errno::EACCES) }
}

/// Gives up the agent's protection from memory kills.
///
/// The file belongs to the host's root as long as the process is not dumpable. By now the process has no more rights than the
/// program that it is about to become, so it may as well be dumpable, as that program will be.
fn expose_to_oom() -> sys::Result<()> {
    sys::prctl(sys::PR_SET_DUMPABLE, 1)?;
    let file = sys::open(sys::AT_FDCWD, c"/proc/self/oom_score_adj", sys::O_WRONLY)?;
    sys::write(file.raw(), b"0").map(drop)
}
