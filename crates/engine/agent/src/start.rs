//! Starting a command: the EXEC request.

use crate::child::{self, Ends};
use crate::exec::{Exec, Input, State, Stream, Waiter};
use crate::hold::{Bounds, Readers};
use crate::launch::{At, Failure};
use crate::protocol::{MAX_EXEC_ID, MAX_EXECS, MAX_FDS, exec_state, op, role, stage, tag};
use crate::records::{self, Packet, Records, Reply};
use crate::serve::{Kind, Server};
use crate::setup::copy_roles;
use crate::sys::{self, Errno, Fd};
use crate::{cgroup, reap, stdin};
use core::ffi::CStr;

/// Most supplementary groups of a command.
const MAX_GROUPS: usize = 64;

/// What to run, borrowed from the request's body.
pub(crate) struct Command<'a> {
    pub(crate) argv: &'a [u8],
    pub(crate) environment: &'a [u8],
    pub(crate) cwd: &'a CStr,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    groups: [u32; MAX_GROUPS],
    group_count: usize,
    timeout_ns: u64,
    bounds: Bounds,
    main: bool,
    merge: bool,
    terminal: Option<Size>,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl Size {
    /// The SIZE record; `None` without one.
    pub(crate) fn parse(records: &Records<'_>) -> sys::Result<Option<Self>> {
        if records.get(tag::SIZE).is_none() {
            return Ok(None);
        }
        let both = records.u32(tag::SIZE)?;
        Ok(Some(Self { rows: (both >> 16) as u16, columns: both as u16 }))
    }
}

impl<'a> Command<'a> {
    fn parse(body: Records<'a>, workdir: &'a CStr) -> sys::Result<Self> {
        let cwd = match body.get(tag::CWD) {
            None => workdir,
            Some(bytes) => CStr::from_bytes_with_nul(bytes).map_err(|_| Errno::EPROTO)?,
        };
        let mut command = Self {
            argv: body.bytes(tag::ARGV),
            environment: body.bytes(tag::ENV),
            cwd,
            uid: body.u32(tag::UID)?,
            gid: body.u32(tag::GID)?,
            groups: [0; MAX_GROUPS],
            group_count: 0,
            timeout_ns: body.u64(tag::TIMEOUT_MS)?.saturating_mul(1_000_000),
            bounds: Bounds {
                quota: bound(body.u64(tag::OUTPUT_QUOTA)?),
                window: bound(body.u64(tag::OUTPUT_WINDOW)?),
                patience_ns: body.u64(tag::READER_PATIENCE_MS)?.saturating_mul(1_000_000),
            },
            main: body.u32(tag::MAIN)? != 0,
            merge: body.u32(tag::MERGE)? != 0,
            terminal: Size::parse(&body)?,
        };
        for bytes in body.bytes(tag::GROUPS).chunks(4) {
            let group = bytes.try_into().map(u32::from_le_bytes).map_err(|_| Errno::EPROTO)?;
            *command.groups.get_mut(command.group_count).ok_or(Errno::E2BIG)? = group;
            command.group_count += 1;
        }
        Ok(command)
    }

    /// Supplementary groups.
    pub(crate) fn groups(&self) -> &[u32] {
        &self.groups[..self.group_count]
    }
}

/// A bound of which 0 says that there is none.
fn bound(value: u64) -> u64 {
    if value == 0 { u64::MAX } else { value }
}

/// Spools of a request.
struct Spools {
    status: Fd,
    stdin: Fd,
    stdout: Fd,
    stderr: Fd,
}

/// Handles EXEC: the reply at once, or `None` when it comes later, as the child tells.
pub(crate) fn request(
    server: &mut Server,
    waiter: Waiter,
    packet: &mut Packet,
) -> Result<Option<Reply>, Failure> {
    let (_, records) = packet.open().at(stage::PROTOCOL)?;
    let id = ExecId::parse(records.bytes(tag::EXEC_ID)).at(stage::PROTOCOL)?;
    let known = server.find(id.bytes()).map(|index| server.execs[index].state);
    match known {
        Some(State::Running) => return Ok(Some(Reply::new(op::EXEC, waiter.seq))),
        Some(State::Starting) => return Err(Failure { stage: stage::PROTOCOL, errno: Errno::EINPROGRESS }),
        Some(_) => return Err(Failure { stage: stage::PROTOCOL, errno: Errno::EEXIST }),
        None if server.running >= MAX_EXECS => {
            return Err(Failure { stage: stage::RESOURCES, errno: Errno::EAGAIN });
        }
        None => {}
    }
    let mut roles = [0u8; MAX_FDS];
    let count = copy_roles(&records, &mut roles).at(stage::PROTOCOL)?;
    let body = packet.fds.take(0);
    let spools = sort(&roles[..count], packet).at(stage::PROTOCOL)?;
    let (map, len) = records::read_file(&body).at(stage::PROTOCOL)?;
    drop(body);
    let body = Records::parse(&map.bytes()[..len]).at(stage::PROTOCOL)?;
    let command = Command::parse(body, server.plan.workdir).at(stage::PROTOCOL)?;
    launch(server, waiter, &id, &command, spools)?;
    Ok(None)
}

fn sort(roles: &[u8], packet: &mut Packet) -> sys::Result<Spools> {
    let mut spools =
        Spools { status: packet.fds.take(1), stdin: Fd::NONE, stdout: Fd::NONE, stderr: Fd::NONE };
    for (index, role) in roles.iter().enumerate() {
        let slot = match *role {
            role::STDIN => &mut spools.stdin,
            role::STDOUT => &mut spools.stdout,
            role::STDERR => &mut spools.stderr,
            _ => continue,
        };
        *slot = packet.fds.take(index + 2);
    }
    if spools.status.is_some() { Ok(spools) } else { Err(Errno::EPROTO) }
}

/// A checked exec id; it names a directory.
struct ExecId {
    bytes: [u8; MAX_EXEC_ID],
    len: usize,
}

impl ExecId {
    fn parse(id: &[u8]) -> sys::Result<Self> {
        let fits = (1..=MAX_EXEC_ID).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !fits {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; MAX_EXEC_ID];
        bytes[..id.len()].copy_from_slice(id);
        Ok(Self { bytes, len: id.len() })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Our ends and the child's ends of the pipes, or of a terminal; an absent stream has neither.
#[derive(Default)]
struct Pipes {
    ours: [Fd; 3],
    theirs: [Fd; 3],
    /// The child's only end at a terminal.
    terminal: Fd,
    report: Fd,
    report_to: Fd,
}

impl Default for Fd {
    fn default() -> Self {
        Self::NONE
    }
}

impl Pipes {
    fn open(server: &Server, spools: &Spools, command: &Command<'_>) -> Result<Self, Failure> {
        let mut pipes = match command.terminal {
            Some(size) => Self::of_terminal(&server.handles.terminals, size).at(stage::TERMINAL)?,
            None => Self::of_streams(spools, command.merge).at(stage::RESOURCES)?,
        };
        (pipes.report, pipes.report_to) = sys::pipe().at(stage::RESOURCES)?;
        for fd in pipes.ours.iter().chain([&pipes.report]).filter(|fd| fd.is_some()) {
            sys::set_nonblocking(fd.raw()).at(stage::RESOURCES)?;
        }
        Ok(pipes)
    }

    fn of_terminal(terminals: &Fd, size: Size) -> sys::Result<Self> {
        let (master, line) = sys::open_terminal(terminals)?;
        sys::set_size(master.raw(), size.rows, size.columns)?;
        let copy = sys::copy(master.raw())?;
        Ok(Self { ours: [copy, master, Fd::NONE], terminal: line, ..Self::default() })
    }

    fn of_streams(spools: &Spools, merge: bool) -> sys::Result<Self> {
        let mut pipes = Self::default();
        if spools.stdin.is_some() {
            let (read, write) = sys::pipe()?;
            (pipes.theirs[0], pipes.ours[0]) = (read, write);
        }
        for (i, wanted) in [(1, spools.stdout.is_some()), (2, spools.stderr.is_some() && !merge)] {
            if wanted {
                (pipes.ours[i], pipes.theirs[i]) = sys::pipe()?;
            }
        }
        Ok(pipes)
    }

    fn ends(&self, null: &Fd, merge: bool) -> Ends {
        let or_null = |fd: &Fd| if fd.is_some() { fd.raw() } else { null.raw() };
        let error = if merge { &self.theirs[1] } else { &self.theirs[2] };
        let terminal = self.terminal.is_some();
        let standard = match terminal {
            true => [self.terminal.raw(); 3],
            false => [or_null(&self.theirs[0]), or_null(&self.theirs[1]), or_null(error)],
        };
        Ends { standard, terminal, report: self.report_to.raw() }
    }
}

fn launch(
    server: &mut Server,
    waiter: Waiter,
    id: &ExecId,
    command: &Command<'_>,
    spools: Spools,
) -> Result<(), Failure> {
    let index = server.free_slot().ok_or(Errno::EAGAIN).at(stage::RESOURCES)?;
    let pipes = Pipes::open(server, &spools, command)?;
    let group = match server.handles.work.is_some() {
        true => cgroup::create(&server.handles.work, id.bytes()).at(stage::CGROUP)?,
        false => Fd::NONE,
    };
    let oom_before = cgroup::oom_kills(&server.handles.oom);
    let ends = pipes.ends(&server.handles.null, command.merge);
    let forked = sys::fork(group.is_some().then(|| group.raw()));
    let pid = match forked {
        Ok(None) => child::run(&server.plan, &server.handles, command, &ends),
        Ok(Some(pid)) => pid,
        Err(errno) => {
            cgroup::remove(&server.handles.work, id.bytes());
            return Err(Failure { stage: stage::RESOURCES, errno });
        }
    };
    let exec = record(waiter, id, command, spools, pipes);
    server.adopt(index, Exec { pid, cgroup: group, oom_before, ..exec });
    watch(server, index)?;
    if server.execs[index].input.eof {
        stdin::feed(server, index);
    }
    Ok(())
}

fn record(waiter: Waiter, id: &ExecId, command: &Command<'_>, spools: Spools, pipes: Pipes) -> Exec {
    let [stdin, stdout, stderr] = pipes.ours;
    let room = command.bounds.quota.min(command.bounds.window);
    let stream = |pipe, spool| Stream { pipe, spool, len: 0, dropped: 0, room, readers: Readers::NONE };
    Exec {
        state: State::Starting,
        id_len: id.len as u8,
        main: command.main,
        id: id.bytes,
        generation: 0,
        pid: 0,
        flags: 0,
        waiter,
        report: pipes.report,
        status: spools.status,
        cgroup: Fd::NONE,
        input: Input {
            pipe: stdin,
            offset: 0,
            len: 0,
            forgotten: 0,
            // A terminal without input is at its end from the start, as the null device is.
            eof: !spools.stdin.is_some() && pipes.terminal.is_some(),
            armed: false,
            within_line: false,
            spool: spools.stdin,
        },
        terminal: pipes.terminal,
        output: [stream(stdout, spools.stdout), stream(stderr, spools.stderr)],
        bounds: command.bounds,
        deadline_ns: match command.timeout_ns {
            0 => 0,
            timeout => sys::now(sys::CLOCK_BOOTTIME).saturating_add(timeout),
        },
        started_ns: sys::now(sys::CLOCK_REALTIME),
        oom_before: 0,
    }
}

/// Watches a new command's descriptors. If the kernel refuses, the command is killed; its end is then seen as of any other.
fn watch(server: &mut Server, index: usize) -> Result<(), Failure> {
    let exec = &server.execs[index];
    let sources = [
        (&exec.report, Kind::Report, sys::EPOLLIN),
        (&exec.input.pipe, Kind::Stdin, 0),
        (&exec.output[0].pipe, Kind::Stdout, sys::EPOLLIN),
        (&exec.output[1].pipe, Kind::Stderr, sys::EPOLLIN),
    ];
    for (fd, kind, events) in sources {
        if fd.is_some() && server.watch(fd.raw(), kind, index, exec.generation, events).is_err() {
            let _ = sys::kill(exec.pid, sys::SIGKILL);
        }
    }
    server.timers_changed = true;
    Ok(())
}

/// The report pipe says something: a failure, or by its end that the new program runs.
pub(crate) fn reported(server: &mut Server, index: usize) {
    let mut bytes = [0u8; 8];
    match sys::read(server.execs[index].report.raw(), &mut bytes) {
        Err(Errno::EAGAIN) => {}
        Ok(8) => {
            let [a, b, c, d, e, f, g, h] = bytes;
            let failure = Failure {
                stage: u32::from_le_bytes([a, b, c, d]),
                errno: Errno(i32::from_le_bytes([e, f, g, h])),
            };
            refused(server, index, &failure);
        }
        _ => started(server, index),
    }
}

fn started(server: &mut Server, index: usize) {
    server.unwatch(index, Kind::Report);
    let exec = &mut server.execs[index];
    exec.state = State::Running;
    exec.write_status(exec_state::RUNNING, 0, 0);
    let waiter = exec.waiter;
    server.reply(waiter, &Reply::new(op::EXEC, waiter.seq));
}

/// The child is about to exit: its end is awaited, so that nothing is left when the answer arrives.
fn refused(server: &mut Server, index: usize, failure: &Failure) {
    reap::finish_off(server.execs[index].pid);
    let waiter = server.execs[index].waiter;
    server.release(index);
    server.reply(waiter, &Reply::failed(op::EXEC, waiter.seq, failure.errno, failure.stage));
}
