//! Sandboxes without a store: the launch and the agent by themselves.

mod bounds;
mod commands;
mod images;
mod streams;
mod terminals;

use super::*;
use crate::{
    agent::{Agent, ExecBody, ExecFiles, Refusal},
    idmap::{BASE, COUNT},
    protocol::{EXEC_MAGIC, ExecStatus, exec_state, reason, stage},
};
use openlattice_images::{IdRange, build_host_skeleton, build_usr_mask};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// A launched sandbox in a folder of its own; dropped, nothing of it is left.
struct Sandbox {
    dir: tempfile::TempDir,
    store: String,
    pidfd: OwnedFd,
    execs: std::sync::atomic::AtomicU32,
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: sandboxes need root");
    }
    root
}

fn plan(dir: &Path, store: &str) -> LaunchPlan {
    let ids = IdRange { base: BASE, count: COUNT };
    let (skeleton, mask) = (dir.join("skeleton"), dir.join("mask"));
    for folder in [&skeleton, &mask] {
        fs::create_dir(folder).unwrap();
    }
    build_host_skeleton(&skeleton, ids).unwrap();
    build_usr_mask(&mask, ids).unwrap();
    for name in ["upper", "work", "usr-upper", "usr-work", "mnt", "execs"] {
        fs::create_dir(dir.join(name)).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        if name.ends_with("upper") {
            std::os::unix::fs::chown(dir.join(name), Some(BASE), Some(BASE)).unwrap();
        }
    }
    let listener =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(dir.join("agent.sock")).unwrap()).unwrap();
    rustix::net::listen(&listener, 128).unwrap();
    LaunchPlan {
        store_id: store.to_owned(),
        sandbox: "sandbox".to_owned(),
        dir: dir.to_owned(),
        lock: fs::File::create(dir.join("lock")).unwrap().into(),
        listener,
        result: fs::File::create(dir.join("result")).unwrap().into(),
        root_layers: vec![skeleton],
        usr_layers: Some(vec![mask]),
        volumes: Vec::new(),
        hostname: "box".to_owned(),
        env: vec![("COLOUR".to_owned(), "green".to_owned())],
        workdir: "/".to_owned(),
        limits: Limits { pids: Some(512), ..Limits::default() },
        lifetime: Duration::from_secs(600),
        idle: None,
        nofile: 4096,
        shm_bytes: 1 << 20,
        listeners: Listeners::default(),
    }
}

impl Sandbox {
    fn launch(change: impl FnOnce(&mut LaunchPlan)) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let store =
            format!("t{}x{}", std::process::id(), NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan(dir.path(), &store);
        change(&mut plan);
        let pid = launch(plan).unwrap().pid;
        let pidfd = pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
        Self { dir, store, pidfd, execs: 0.into() }
    }

    /// The agent's pid.
    fn pid(&self) -> u32 {
        let info =
            fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&self.pidfd)))
                .unwrap();
        info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
    }

    async fn agent(&self) -> Agent {
        Agent::connect(self.dir.path()).await.unwrap()
    }

    async fn start(&self, body: ExecBody, stdin: bool) -> Result<String, Refusal> {
        let id = format!("exec-{}", self.execs.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let dir = self.dir.path().join("execs").join(&id);
        fs::create_dir(&dir).unwrap();
        let file = |name: &str| -> OwnedFd {
            fs::File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.join(name))
                .unwrap()
                .into()
        };
        let files = ExecFiles {
            status: file("status"),
            stdin: stdin.then(|| file("stdin")),
            stdout: Some(file("stdout")),
            stderr: Some(file("stderr")),
        };
        self.agent().await.exec(&id, body, files).await.map(|()| id)
    }

    fn read(&self, id: &str, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join("execs").join(id).join(name)).unwrap()
    }

    fn status(&self, id: &str) -> ExecStatus {
        let bytes = self.read(id, "status");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        ExecStatus {
            magic: word(0),
            version: word(4),
            state: word(8),
            code: word(12).cast_signed(),
            flags: word(16),
            pid: word(20),
            stdout_len: long(24),
            stderr_len: long(32),
            stdout_dropped: long(40),
            stderr_dropped: long(48),
            started_ns: long(56),
            ended_ns: long(64),
        }
    }

    /// Waits for the end of a command.
    fn end(&self, id: &str) -> ExecStatus {
        self.until(id, || {
            let status = self.status(id);
            assert_eq!(status.magic, EXEC_MAGIC);
            (status.state != exec_state::RUNNING).then_some(status)
        })
    }

    /// Waits for the first output of a command.
    fn output(&self, id: &str) {
        self.until(id, || (!self.read(id, "stdout").is_empty()).then_some(()));
    }

    /// Looks each time that a file of a command changes.
    fn until<T>(&self, id: &str, look: impl Fn() -> Option<T>) -> T {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&watch, self.dir.path().join("execs").join(id), WatchFlags::MODIFY).unwrap();
        loop {
            if let Some(found) = look() {
                return found;
            }
            rustix::io::read(&watch, &mut [0; 4096]).unwrap();
        }
    }

    /// Runs a shell script; its end and its output.
    async fn run(&self, script: &str) -> (ExecStatus, String) {
        let id = self.start(shell(script), false).await.unwrap();
        let status = self.end(&id);
        let mut text = self.read(&id, "stdout");
        text.extend(self.read(&id, "stderr"));
        (status, String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits for the end of the sandbox; reason and code.
    fn wait(&self) -> (u32, i32) {
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], None).unwrap();
        let bytes = fs::read(self.dir.path().join("result")).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        (word(8), word(12).cast_signed())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], None).unwrap();
        assert!(crate::cgroup::remove(&self.store, "sandbox", Duration::from_secs(10)).unwrap());
    }
}

fn command(argv: &[&str]) -> ExecBody {
    ExecBody {
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        env: Vec::new(),
        cwd: None,
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        timeout: None,
        output_quota: 0,
        output_window: 0,
        reader_patience: std::time::Duration::from_secs(30),
        main: false,
        merge: false,
        terminal: None,
    }
}

fn shell(script: &str) -> ExecBody {
    command(&["sh", "-c", script])
}

/// Runs each check against one fresh sandbox.
async fn with_sandbox<F: AsyncFnOnce(&Sandbox)>(change: impl FnOnce(&mut LaunchPlan), check: F) {
    if is_root() {
        let sandbox = Sandbox::launch(change);
        check(&sandbox).await;
    }
}

/// Groups of commands that are there.
fn groups(sandbox: &Sandbox) -> Vec<String> {
    let Some(root) = unified() else { return Vec::new() };
    let work = root.join("openlattice").join(&sandbox.store).join("sandbox/work");
    let entries = fs::read_dir(work).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn unified() -> Option<PathBuf> {
    ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .map(PathBuf::from)
        .find(|root| root.join("cgroup.procs").exists())
}
