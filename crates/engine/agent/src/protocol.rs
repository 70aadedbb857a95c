//! The words that the engine and the agent exchange: one file, compiled into both sides.
//!
//! Everything travels over `SOCK_SEQPACKET` unix sockets, so a packet is a message. A packet is a [`Header`] followed by
//! records; descriptors ride along as `SCM_RIGHTS` in the order that [`Op`] documents. Large variable data (plan, argument
//! vector, environment) travels in a memfd of records instead, so that no packet exceeds [`MAX_PACKET`].
//!
//! A record is `tag: u32, len: u32, bytes[len]`, padded with zeros to a multiple of four. All numbers are little-endian.
//! Unknown tags are skipped, so that either side may be the newer one.

/// Version of the messages and of the two status records; a front talks to the two versions before its own.
pub const VERSION: u32 = 2;
/// From this version on an agent gives terminals (`tag::SIZE` in a body, `op::RESIZE`); an older one skips what it does not know.
pub const TERMINALS_SINCE: u32 = 2;
/// Longest packet in bytes, header included.
pub const MAX_PACKET: usize = 4096;
/// Most descriptors in one packet.
pub const MAX_FDS: usize = 128;
/// Longest record blob (plan or exec body) in bytes that the agent maps.
pub const MAX_BODY: usize = 8 << 20;
/// Longest exec id in bytes (a UUID has 36).
pub const MAX_EXEC_ID: usize = 64;
/// Most execs that run at once in one sandbox; another is refused with `EAGAIN`.
pub const MAX_EXECS: usize = 1024;
/// Most volumes of one sandbox: their mounts travel in one packet with all else.
pub const MAX_VOLUMES: usize = 32;
/// Most published ports of one sandbox.
pub const MAX_PORTS: usize = 32;
/// Most connections to its published ports at once; more wait in the listener's queue.
pub const MAX_CONNECTIONS: usize = 256;
/// Descriptor on which the launcher finds its set-up channel.
pub const SETUP_FD: i32 = 0;

/// Starts every packet, request and reply.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// One of the [`Op`] numbers.
    pub op: u32,
    /// Chosen by the caller, copied into the reply.
    pub seq: u32,
    /// In a reply: 0, or the errno that stopped the request. In a request: 0.
    pub errno: i32,
    /// In a failed reply: one of the `stage` numbers. In a request: 0.
    pub stage: u32,
}

/// Requests and replies.
pub mod op {
    // Set-up channel (descriptor 0 of the launcher).
    /// Engine to launcher. Descriptors: plan memfd; then, where the host has cgroup v2, the directory to clone the agent into.
    pub const LAUNCH: u32 = 1;
    /// Launcher to engine: the clone exists. Record PID (as the launcher sees it), descriptor: its pidfd. The launcher exits after it.
    pub const CLONED: u32 = 2;
    /// Engine to clone, after the id maps are written: descriptors as the ROLES record names them, in order.
    pub const SETUP: u32 = 3;
    /// Clone to engine: set up and serving, or failed with errno and stage (it exits then).
    pub const READY: u32 = 4;

    // Agent's listener. Every request gets exactly one reply with the same op and seq.
    /// Reply: records VERSION, RUNNING (execs alive).
    pub const HELLO: u32 = 16;
    /// Start a command. Records: EXEC_ID. Descriptors: body memfd, status file, then those the ROLES record names
    /// (role::STDIN, role::STDOUT, role::STDERR spools; an absent one is /dev/null). Reply when the new program runs or
    /// failed to start (errno and stage; nothing is left then). A known id that still runs is answered with success and not run twice;
    /// EINPROGRESS: it is being started for another front; EEXIST: it has ended, and what it left behind still holds its output.
    pub const EXEC: u32 = 17;
    /// The stdin spool of EXEC_ID holds LENGTH bytes, and no more will come if EOF is 1. Reply errno ESRCH: no such running exec;
    /// EPIPE: the command closed its input.
    pub const STDIN: u32 = 18;
    /// Reply: LENGTH = bytes handed to the command so far, EOF = 1 when its input is closed.
    pub const STDIN_STATUS: u32 = 19;
    /// Send SIGNAL to EXEC_ID: to its process group, or with TREE = 1 SIGKILL to everything it started.
    pub const SIGNAL: u32 = 20;
    /// Reply carries one descriptor: the sandbox's root directory (O_PATH).
    pub const ROOT: u32 = 21;
    /// Record REASON (one of `reason`), write the result, end everything. The reply is sent before the end.
    pub const TERMINATE: u32 = 22;
    /// The terminal of EXEC_ID becomes SIZE. Reply errno ESRCH: no such running exec; ENOTTY: it has no terminal; ENOSYS: an agent that
    /// knows no terminals.
    pub const RESIZE: u32 = 23;
}

/// Record tags.
pub mod tag {
    /// u32.
    pub const PID: u32 = 1;
    /// One byte a descriptor, in the order of the descriptors: see `role`.
    pub const ROLES: u32 = 2;
    /// Bytes of the exec id.
    pub const EXEC_ID: u32 = 3;
    /// u64.
    pub const LENGTH: u32 = 4;
    /// u32, 0 or 1.
    pub const EOF: u32 = 5;
    /// u32, signal number.
    pub const SIGNAL: u32 = 6;
    /// u32, 0 or 1.
    pub const TREE: u32 = 7;
    /// u32, see `reason`.
    pub const REASON: u32 = 8;
    /// u32.
    pub const VERSION: u32 = 9;
    /// u32.
    pub const RUNNING: u32 = 10;

    // Plan (memfd of LAUNCH).
    /// Host name inside.
    pub const HOSTNAME: u32 = 32;
    /// Environment of every command, `K=V` each ended by NUL. It lives in the agent's memory only.
    pub const BASE_ENV: u32 = 33;
    /// `struct sock_filter[]`, installed in every command.
    pub const SECCOMP: u32 = 34;
    /// Paths, each ended by NUL: existing files to cover with an empty device, directories with an empty read-only tmpfs.
    pub const MASK: u32 = 35;
    /// Paths, each ended by NUL: existing ones are bound read-only.
    pub const READ_ONLY: u32 = 36;
    /// u64 milliseconds from READY to the end of the sandbox; 0 = none.
    pub const LIFETIME_MS: u32 = 37;
    /// u64 milliseconds without a running command, an open connection to a published port, or a request (HELLO and STDIN_STATUS do not
    /// count) until the end; 0 = none.
    pub const IDLE_MS: u32 = 38;
    /// u32: id inside the user namespace under which the agent runs after set-up (not the workload's).
    pub const AGENT_UID: u32 = 39;
    /// u64: capabilities that commands keep (bounding set).
    pub const CAPABILITIES: u32 = 40;
    /// u64: RLIMIT_NOFILE of commands.
    pub const NOFILE: u32 = 41;
    /// Absolute path; working directory of commands that name none.
    pub const WORKDIR: u32 = 42;
    /// Targets below the new root, each ended by NUL, for the descriptors of role::MOUNT, in order.
    pub const TARGETS: u32 = 43;
    /// u64 bytes: size of /dev/shm.
    pub const SHM_SIZE: u32 = 44;
    /// u32: the host's id of root inside. The user namespace belongs to it, so that what the kernel counts by user (inotify instances, keys,
    /// processes) is not counted against the host's root.
    pub const OWNER: u32 = 45;
    /// u32[]: numbers of the published ports, in the order of the descriptors of role::PORT.
    pub const PORTS: u32 = 56;

    // Exec body (memfd of EXEC).
    /// Arguments, each ended by NUL. The first names the program: with a slash a path, else searched in the command's PATH.
    pub const ARGV: u32 = 64;
    /// `K=V` each ended by NUL; added to BASE_ENV, later ones win.
    pub const ENV: u32 = 65;
    /// Absolute path inside the sandbox.
    pub const CWD: u32 = 66;
    /// u32.
    pub const UID: u32 = 67;
    /// u32.
    pub const GID: u32 = 68;
    /// u64 milliseconds; 0 = none. At its end the whole tree is killed and `flag::TIMED_OUT` is set.
    pub const TIMEOUT_MS: u32 = 69;
    /// u64 bytes that each output spool may hold on disk while nobody reads it; what comes after is read and dropped. 0 = none.
    pub const OUTPUT_QUOTA: u32 = 70;
    /// u64 bytes of an output spool from which on a reader that is behind holds the command up, as a full pipe would; 0 = never. See
    /// [`readers`](super::readers).
    pub const OUTPUT_WINDOW: u32 = 75;
    /// u64 milliseconds: how long a reader that does not move holds the command up, as long as the spool is below its quota.
    pub const READER_PATIENCE_MS: u32 = 76;
    /// u32, 0 or 1: the sandbox ends when this command does.
    pub const MAIN: u32 = 71;
    /// u32, 0 or 1: stderr goes where stdout goes.
    pub const MERGE: u32 = 72;
    /// u32[]: supplementary groups.
    pub const GROUPS: u32 = 73;
    /// u32: rows << 16 | columns. In a body: the command gets a terminal of this size on 0, 1 and 2, which the STDIN spool is typed
    /// into and whose output goes to the STDOUT spool; the end of input is typed as its end-of-file character. In RESIZE: the new size.
    pub const SIZE: u32 = 74;
}

/// What a descriptor is for.
pub mod role {
    /// Detached mount that becomes the root (SETUP).
    pub const ROOT: u8 = 1;
    /// Detached mount for the next path of TARGETS (SETUP).
    pub const MOUNT: u8 = 2;
    /// Listening SEQPACKET socket (SETUP).
    pub const LISTENER: u8 = 3;
    /// Locked file; held open for life (SETUP).
    pub const LOCK: u8 = 4;
    /// Result file, write (SETUP).
    pub const RESULT: u8 = 5;
    /// cgroup v1 `tasks` file, opened by root; every command writes `0` to it before it runs (SETUP; several).
    pub const TASKS: u8 = 6;
    /// cgroup v2 directory owned by the agent's id; every command gets a child group of it (SETUP; optional).
    pub const WORK_CGROUP: u8 = 7;
    /// v1 `memory.oom_control` or v2 `memory.events`; its `oom_kill` count tells a memory kill from another (SETUP; optional).
    pub const OOM_EVENTS: u8 = 8;
    /// Listening TCP socket of the host's network, for the next number of PORTS: every connection to it is relayed to that port of the
    /// sandbox's own 127.0.0.1 (SETUP; several, at most [`MAX_PORTS`](super::MAX_PORTS)).
    pub const PORT: u8 = 12;
    /// Input spool, read, and emptied of what was read (EXEC).
    pub const STDIN: u8 = 16;
    /// Output spool, write (EXEC).
    pub const STDOUT: u8 = 17;
    /// Error spool, write (EXEC).
    pub const STDERR: u8 = 18;
}

/// Where a set-up or a start failed.
pub mod stage {
    /// Malformed request.
    pub const PROTOCOL: u32 = 1;
    /// unshare of the network namespace, loopback, sysctls.
    pub const NETWORK: u32 = 2;
    /// clone3.
    pub const CLONE: u32 = 3;
    /// Identity inside the user namespace.
    pub const IDENTITY: u32 = 4;
    /// Mounting or pivoting.
    pub const MOUNT: u32 = 5;
    /// Masks and read-only paths.
    pub const MASK: u32 = 6;
    /// Joining control groups.
    pub const CGROUP: u32 = 7;
    /// Entering the working directory.
    pub const CWD: u32 = 8;
    /// Dropping ids, capabilities, limits.
    pub const PRIVILEGES: u32 = 9;
    /// Installing the filter.
    pub const SECCOMP: u32 = 10;
    /// execve: ENOENT = not found, EACCES or ENOEXEC = not executable.
    pub const EXEC: u32 = 11;
    /// Pipes, memory, descriptors.
    pub const RESOURCES: u32 = 12;
    /// Opening a terminal (ENOSPC: the sandbox has as many as it may) or making it the command's.
    pub const TERMINAL: u32 = 13;
}

/// Why a sandbox ended (u32 in [`SandboxResult`] and TERMINATE).
pub mod reason {
    /// The main command exited; `code` is its exit code.
    pub const EXITED: u32 = 1;
    /// The main command died of signal `code`.
    pub const SIGNALED: u32 = 2;
    /// Life time.
    pub const TIMEOUT: u32 = 3;
    /// Idle time.
    pub const IDLE: u32 = 4;
    /// Asked to (`op::TERMINATE`).
    pub const TERMINATED: u32 = 5;
    /// The main command was killed by the memory limit.
    pub const OOM: u32 = 6;
    /// The agent could not go on; `code` is an errno.
    pub const FAILED: u32 = 7;
}

/// State of an exec (u32 in [`ExecStatus`]).
pub mod exec_state {
    /// Started.
    pub const RUNNING: u32 = 1;
    /// Exited; `code` is the exit code.
    pub const EXITED: u32 = 2;
    /// Died of signal `code`.
    pub const SIGNALED: u32 = 3;
}

/// Bits of [`ExecStatus::flags`].
pub mod flag {
    /// The exec's own timeout killed it.
    pub const TIMED_OUT: u32 = 1;
    /// The memory limit killed it.
    pub const OOM: u32 = 2;
    /// A SIGNAL request killed it.
    pub const KILLED: u32 = 4;
    /// The end of its sandbox killed it.
    pub const SANDBOX_ENDED: u32 = 8;
    /// Output was dropped because the disk was full: the bit of stdout; that of stderr is the next higher one.
    pub const DISK_FULL: u32 = 16;
    /// Output was dropped because a file may not grow further: the bit of stdout; that of stderr is the next higher one.
    pub const FILE_LIMIT: u32 = 64;
}

/// How readers of an output spool and the agent see one another: by locks of open file descriptions (fcntl(2), `F_OFD_SETLK`), which
/// vanish with the process.
///
/// A reader holds a shared lock from its position to the end of the file. What lies well behind it, it takes off the disk, under an
/// exclusive lock from the beginning to there, which shows that no other reader needs it. The agent takes the bytes from the first
/// one on that is on the disk for what the spool holds. Once these are `tag::OUTPUT_WINDOW`, it looks for locks.
pub mod readers {
    /// A reader that was seen so short a time ago has not gone: it comes back after a broken connection, or has yet to begin.
    pub const GRACE_NS: u64 = 1_000_000_000;
}

/// First four bytes of both records below: `LTX1`.
pub const EXEC_MAGIC: u32 = u32::from_le_bytes(*b"LTX1");
/// `LTS1`.
pub const RESULT_MAGIC: u32 = u32::from_le_bytes(*b"LTS1");

/// Content of an exec's status file. Written at the start and once more, in one write, at the end: when the command has been
/// reaped and what its pipes held by then is in the spools. Lengths are final from then on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecStatus {
    /// [`EXEC_MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// See `exec_state`.
    pub state: u32,
    /// Exit code or signal.
    pub code: i32,
    /// See `flag`.
    pub flags: u32,
    /// Pid inside the sandbox.
    pub pid: u32,
    /// Bytes in the stdout spool.
    pub stdout_len: u64,
    /// Bytes in the stderr spool.
    pub stderr_len: u64,
    /// Bytes of stdout that were dropped: past the quota, or as `flag::DISK_FULL` and `flag::FILE_LIMIT` say.
    pub stdout_dropped: u64,
    /// The same of stderr.
    pub stderr_dropped: u64,
    /// Start, nanoseconds of CLOCK_REALTIME.
    pub started_ns: u64,
    /// End, nanoseconds of CLOCK_REALTIME; 0 while it runs.
    pub ended_ns: u64,
}

/// Content of a sandbox's result file, written once, just before the agent ends. An empty file after the agent's lock is free
/// means that the agent was killed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SandboxResult {
    /// [`RESULT_MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// See `reason`.
    pub reason: u32,
    /// Exit code, signal or errno.
    pub code: i32,
    /// Nanoseconds of CLOCK_REALTIME.
    pub ended_ns: u64,
}
