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
        hostname: "box".to_owned(),
        env: vec![("COLOUR".to_owned(), "green".to_owned())],
        workdir: "/".to_owned(),
        limits: Limits { pids: Some(512), ..Limits::default() },
        lifetime: Duration::from_secs(600),
        idle: None,
        nofile: 4096,
        shm_bytes: 1 << 20,
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

    async fn end(&self, id: &str) -> ExecStatus {
        loop {
            let status = self.status(id);
            assert_eq!(status.magic, EXEC_MAGIC);
            if status.state != exec_state::RUNNING {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Runs a shell script; its end and its output.
    async fn run(&self, script: &str) -> (ExecStatus, String) {
        let id = self.start(shell(script), false).await.unwrap();
        let status = self.end(&id).await;
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
        crate::cgroup::remove(&self.store, "sandbox").unwrap();
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
        main: false,
        merge: false,
    }
}

fn shell(script: &str) -> ExecBody {
    command(&["sh", "-c", script])
}

#[tokio::test]
async fn a_command_runs_in_the_image_host() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::launch(|_| {});
    let id = sandbox.start(command(&["/usr/bin/id"]), false).await.unwrap();
    let status = sandbox.end(&id).await;
    assert_eq!(
        (status.state, status.code),
        (exec_state::EXITED, 0),
        "{}",
        String::from_utf8_lossy(&sandbox.read(&id, "stderr"))
    );
    assert_eq!(sandbox.read(&id, "stdout"), b"uid=0(root) gid=0(root) groups=0(root)\n");
    assert_eq!(status.stdout_len, 39);
}

/// Runs each check against one fresh sandbox.
async fn with_sandbox<F: AsyncFnOnce(&Sandbox)>(change: impl FnOnce(&mut LaunchPlan), check: F) {
    if is_root() {
        let sandbox = Sandbox::launch(change);
        check(&sandbox).await;
    }
}

#[tokio::test]
async fn output_status_and_environment_are_as_asked() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let mut body = shell("echo $COLOUR $TASTE $HOME; pwd; echo bad >&2; exit 3");
            body.env = vec![("TASTE".into(), "sour".into()), ("TASTE".into(), "sweet".into())];
            body.cwd = Some("/tmp".into());
            let id = sandbox.start(body, false).await.unwrap();
            let status = sandbox.end(&id).await;
            assert_eq!((status.state, status.code), (exec_state::EXITED, 3));
            assert_eq!(sandbox.read(&id, "stdout"), b"green sweet /root\n/tmp\n");
            assert_eq!(sandbox.read(&id, "stderr"), b"bad\n");
            assert!(status.ended_ns >= status.started_ns && status.started_ns > 0);
            let (status, _) = sandbox.run("kill -TERM $$").await;
            assert_eq!((status.state, status.code), (exec_state::SIGNALED, 15));
        },
    )
    .await;
}

#[tokio::test]
async fn what_cannot_start_says_where_and_leaves_nothing() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let failed = async |body: ExecBody| match sandbox.start(body, false).await {
                Err(Refusal::Agent { errno, stage }) => (errno, stage),
                other => panic!("{other:?}"),
            };
            assert_eq!(failed(command(&["nosuch"])).await, (Errno::NOENT, stage::EXEC));
            assert_eq!(failed(command(&["/no/such"])).await, (Errno::NOENT, stage::EXEC));
            assert_eq!(failed(command(&["/etc/passwd"])).await, (Errno::ACCESS, stage::EXEC));
            assert_eq!(failed(command(&["/"])).await, (Errno::ACCESS, stage::EXEC));
            let mut body = command(&["true"]);
            body.cwd = Some("/nowhere".into());
            assert_eq!(failed(body).await, (Errno::NOENT, stage::CWD));
            let mut body = command(&["true"]);
            body.cwd = Some("/proc/self/fd/4".into());
            assert_eq!(failed(body).await.1, stage::CWD);
            assert_eq!(sandbox.agent().await.running().await.unwrap(), 0);
            assert!(groups(sandbox).is_empty());
        },
    )
    .await;
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

#[tokio::test]
async fn input_arrives_in_order_and_ends() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox.start(command(&["sha256sum"]), true).await.unwrap();
            let (agent, spool) =
                (sandbox.agent().await, sandbox.dir.path().join("execs").join(&id).join("stdin"));
            let data: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
            let mut written = 0;
            for part in data.chunks(1_000_000) {
                use std::os::unix::fs::FileExt;
                fs::File::options().write(true).open(&spool).unwrap().write_all_at(part, written).unwrap();
                written += part.len() as u64;
                agent.stdin(&id, written, false).await.unwrap();
            }
            agent.stdin(&id, written, true).await.unwrap();
            sandbox.end(&id).await;
            let mut host = std::process::Command::new("sha256sum")
                .stdin(fs::File::open(&spool).unwrap())
                .output()
                .unwrap()
                .stdout;
            assert_eq!(sandbox.read(&id, "stdout"), host);
            host.clear();
            assert!(agent.stdin(&id, written, true).await.unwrap_err().is(Errno::SRCH));
            // One that closes its input says so, and its agent does not stumble over it.
            let id = sandbox.start(shell("exec 0<&-; echo closed; sleep 600"), true).await.unwrap();
            let spool = sandbox.dir.path().join("execs").join(&id).join("stdin");
            fs::write(&spool, vec![0; 1 << 20]).unwrap();
            while sandbox.read(&id, "stdout").is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            while agent.stdin(&id, 1 << 20, false).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(agent.stdin_status(&id).await.unwrap().1);
            agent.signal(&id, 9, true).await.unwrap();
            assert_eq!(sandbox.end(&id).await.flags, crate::protocol::flag::KILLED);
        },
    )
    .await;
}

#[tokio::test]
async fn output_is_whole_bounded_by_the_quota_and_never_blocks_the_command() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let (status, text) = sandbox.run("seq 1 300000").await;
            assert_eq!((status.code, status.stdout_dropped), (0, 0));
            assert_eq!(text, (1..=300_000).map(|n| format!("{n}\n")).collect::<String>());
            let mut body = shell("seq 1 300000; echo end >&2");
            body.output_quota = 1000;
            let id = sandbox.start(body, false).await.unwrap();
            let status = sandbox.end(&id).await;
            assert_eq!(
                (status.code, status.stdout_len, status.stdout_dropped),
                (0, 1000, text.len() as u64 - 1000)
            );
            assert_eq!(sandbox.read(&id, "stdout"), &text.as_bytes()[..1000]);
            assert_eq!(sandbox.read(&id, "stderr"), b"end\n");
            let mut body = shell("echo one; echo two >&2; echo three");
            body.merge = true;
            let id = sandbox.start(body, false).await.unwrap();
            sandbox.end(&id).await;
            assert_eq!(sandbox.read(&id, "stdout"), b"one\ntwo\nthree\n");
        },
    )
    .await;
}

#[tokio::test]
async fn a_background_process_neither_holds_the_end_nor_dies_of_it() {
    with_sandbox(|_| {}, async |sandbox| {
        let script = "(trap '' PIPE; sleep 0.05; i=0; while [ $i -lt 20000 ]; do echo late; i=$((i+1)); done; echo alive >/tmp/alive) & echo now";
        let (status, text) = sandbox.run(script).await;
        assert_eq!((status.code, text.as_str(), status.stdout_len), (0, "now\n", 4));
        loop {
            let (_, text) = sandbox.run("cat /tmp/alive 2>/dev/null").await;
            if text == "alive\n" {
                break;
            }
        }
        let (_, text) = sandbox.run("sleep 600 & echo $!").await;
        let (status, _) = sandbox.run(&format!("kill -0 {}", text.trim())).await;
        assert_eq!(status.code, 0, "a background process did not outlive its command");
    })
    .await;
}

#[tokio::test]
async fn a_timeout_kills_the_whole_tree() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let mut body = shell("setsid sh -c 'setsid sleep 601 & sleep 602' & sleep 603");
            body.timeout = Some(Duration::from_millis(300));
            let id = sandbox.start(body, false).await.unwrap();
            let status = sandbox.end(&id).await;
            assert_eq!(
                (status.state, status.code, status.flags),
                (exec_state::SIGNALED, 9, crate::protocol::flag::TIMED_OUT)
            );
            if unified().is_none() {
                println!("skipped in part: a tree can only be killed with cgroup v2");
                return;
            }
            loop {
                let (_, text) = sandbox.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await;
                if !["sleep 601", "sleep 602", "sleep 603"].iter().any(|sleep| text.contains(sleep)) {
                    break;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn signals_reach_the_group() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox
                .start(shell("trap 'echo got; exit 7' TERM; echo ready; sleep 600 & wait"), false)
                .await
                .unwrap();
            while sandbox.read(&id, "stdout").is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let agent = sandbox.agent().await;
            agent.signal(&id, 15, false).await.unwrap();
            let status = sandbox.end(&id).await;
            assert_eq!((status.code, status.flags), (7, 0));
            assert!(agent.signal(&id, 15, false).await.unwrap_err().is(Errno::SRCH));
            assert!(agent.signal("unknown", 15, false).await.unwrap_err().is(Errno::SRCH));
        },
    )
    .await;
}

#[tokio::test]
async fn the_end_has_one_recorded_reason() {
    if !is_root() {
        return;
    }
    let main = |script: &str| ExecBody { main: true, ..shell(script) };
    let sandbox = Sandbox::launch(|_| {});
    let other = sandbox.start(shell("sleep 600"), false).await.unwrap();
    sandbox.start(main("exit 42"), false).await.unwrap();
    assert_eq!(sandbox.wait(), (reason::EXITED, 42));
    let status = sandbox.status(&other);
    assert_eq!(
        (status.state, status.code),
        (exec_state::SIGNALED, 9),
        "a command that the end killed has no end"
    );
    drop(sandbox);
    let sandbox = Sandbox::launch(|_| {});
    sandbox.start(main("kill -SEGV $$"), false).await.unwrap();
    assert_eq!(sandbox.wait(), (reason::SIGNALED, 11));
    drop(sandbox);
    let sandbox = Sandbox::launch(|plan| plan.lifetime = Duration::from_millis(200));
    sandbox.start(shell("trap '' TERM INT HUP; sleep 600"), false).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::TIMEOUT);
    drop(sandbox);
    let sandbox = Sandbox::launch(|plan| plan.idle = Some(Duration::from_millis(150)));
    let id = sandbox.start(shell("sleep 0.4; echo done"), false).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::IDLE);
    assert_eq!(sandbox.read(&id, "stdout"), b"done\n", "a running command did not count as work");
    drop(sandbox);
    let sandbox = Sandbox::launch(|_| {});
    sandbox.agent().await.terminate(reason::TERMINATED).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::TERMINATED);
}

#[tokio::test]
async fn the_memory_limit_kills_and_says_so() {
    with_sandbox(
        |plan| plan.limits.memory_bytes = Some(64 << 20),
        async |sandbox| {
            let hog = "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null";
            let (status, _) = sandbox.run(&format!("{hog}; exit 5")).await;
            assert_eq!((status.code, status.flags), (5, 0), "a shell that went on was called killed");
            let (status, _) = sandbox.run(hog).await;
            assert_eq!((status.code, status.flags), (137, crate::protocol::flag::OOM));
            let (status, _) = sandbox.run("kill -9 $$").await;
            assert_eq!((status.code, status.flags), (9, 0));
            let hog = "x=$(head -c 150000000 /dev/zero | tr '\\0' a)";
            sandbox.start(ExecBody { main: true, ..shell(hog) }, false).await.unwrap();
            assert_eq!(sandbox.wait().0, reason::OOM);
        },
    )
    .await;
}

#[tokio::test]
async fn a_fork_bomb_stays_inside() {
    with_sandbox(
        |plan| plan.limits.pids = Some(60),
        async |sandbox| {
            let mut body = shell("f() { f | f & }; f; sleep 600");
            body.timeout = Some(Duration::from_millis(700));
            let id = sandbox.start(body, false).await.unwrap();
            sandbox.end(&id).await;
            loop {
                // Its own end is proof of room for a fork.
                let (status, text) = sandbox.run("echo a | cat").await;
                if status.code == 0 && text == "a\n" {
                    break;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn many_commands_run_at_once_and_orphans_are_reaped() {
    with_sandbox(
        |plan| plan.limits.pids = Some(4096),
        async |sandbox| {
            let mut ids = Vec::new();
            for n in 0..200 {
                ids.push(
                    sandbox.start(shell(&format!("read x; echo {n}; (true &); exit 0")), true).await.unwrap(),
                );
            }
            let agent = sandbox.agent().await;
            assert_eq!(agent.running().await.unwrap(), 200);
            for id in &ids {
                agent.stdin(id, 0, true).await.unwrap();
            }
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(sandbox.end(id).await.code, 0);
                assert_eq!(sandbox.read(id, "stdout"), format!("{n}\n").as_bytes());
            }
            loop {
                let (_, text) = sandbox.run("cat /proc/[0-9]*/stat | cut -d' ' -f3").await;
                if !text.contains('Z') {
                    break;
                }
            }
            assert_eq!(agent.running().await.unwrap(), 0);
            while !groups(sandbox).is_empty() {
                sandbox.run("true").await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_known_id_is_not_run_twice() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox.start(shell("echo once; read x"), true).await.unwrap();
            let dir = sandbox.dir.path().join("execs").join(&id);
            let open = |name: &str| -> OwnedFd {
                fs::File::options().read(true).write(true).open(dir.join(name)).unwrap().into()
            };
            let files =
                ExecFiles { status: open("status"), stdin: None, stdout: Some(open("stdout")), stderr: None };
            let agent = sandbox.agent().await;
            agent.exec(&id, shell("echo twice"), files).await.unwrap();
            agent.stdin(&id, 0, true).await.unwrap();
            sandbox.end(&id).await;
            assert_eq!(sandbox.read(&id, "stdout"), b"once\n");
        },
    )
    .await;
}

#[tokio::test]
async fn a_command_has_no_more_than_it_should() {
    with_sandbox(|_| {}, async |sandbox| {
        let (_, text) = sandbox.run("ls /proc/self/fd | tr '\\n' ' '; grep -E 'Cap(Prm|Bnd|Inh|Amb)|NoNewPrivs|SigBlk|SigIgn' /proc/self/status; cat /proc/self/oom_score_adj /proc/self/cgroup").await;
        assert!(text.starts_with("0 1 2 3 Sig"), "{text}");
        assert!(text.contains("CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\n"), "{text}");
        assert!(text.contains("CapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\n"), "{text}");
        assert!(text.contains("NoNewPrivs:\t1") && text.contains("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"), "{text}");
        assert!(text.contains("\n0\n") && !text.contains("openlattice"), "{text}");
        let body = ExecBody { uid: 1000, gid: 1000, groups: vec![5, 6], ..shell("id; grep CapPrm /proc/self/status; ls -ld /proc/self; ls /proc/1/fd") };
        let id = sandbox.start(body, false).await.unwrap();
        sandbox.end(&id).await;
        let text = String::from_utf8(sandbox.read(&id, "stdout")).unwrap();
        assert!(text.starts_with("uid=1000 gid=1000 groups=1000,5") && text.contains("CapPrm:\t0000000000000000"), "{text}");
        let (status, text) = sandbox.run("cat /proc/1/environ || ls -l /proc/1/fd || cat /proc/1/maps || readlink /proc/1/exe || kill -9 1 && ls /proc/1/cwd/").await;
        assert_ne!(status.code, 0, "{text}");
        let (_, text) = sandbox.run("hostname; cat /proc/sys/kernel/hostname; ls -l /dev | head -30; mount").await;
        assert!(text.starts_with("box\nbox\n"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_costs_output_only() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let dir = sandbox.dir.path().join("execs/full");
            fs::create_dir(&dir).unwrap();
            let file = |path: &Path| -> OwnedFd {
                fs::File::options().write(true).create(true).truncate(false).open(path).unwrap().into()
            };
            let files = ExecFiles {
                status: file(&dir.join("status")),
                stdin: None,
                stdout: Some(file(Path::new("/dev/full"))),
                stderr: Some(file(&dir.join("stderr"))),
            };
            sandbox.agent().await.exec("full", shell("seq 1 1000; echo kept >&2"), files).await.unwrap();
            let status = sandbox.end("full").await;
            assert_eq!((status.code, status.stdout_len, status.stdout_dropped), (0, 0, 3893));
            assert_eq!(sandbox.read("full", "stderr"), b"kept\n");
        },
    )
    .await;
}

#[tokio::test]
async fn one_command_too_many_is_refused() {
    with_sandbox(
        |plan| plan.limits.pids = Some(4096),
        async |sandbox| {
            for _ in 0..crate::protocol::MAX_EXECS {
                sandbox.start(command(&["sleep", "600"]), false).await.unwrap();
            }
            assert!(sandbox.start(command(&["true"]), false).await.unwrap_err().is(Errno::AGAIN));
            let agent = sandbox.agent().await;
            agent.signal("exec-7", 9, true).await.unwrap();
            sandbox.end("exec-7").await;
            let (status, text) = sandbox.run("echo again").await;
            assert_eq!((status.code, text.as_str()), (0, "again\n"));
        },
    )
    .await;
}

#[tokio::test]
async fn an_image_cannot_lead_a_mount_elsewhere() {
    if !is_root() {
        return;
    }
    for (place, target) in [("proc", "/etc"), ("dev", "usr"), ("sys", "../../../../sys"), ("usr", "/tmp")] {
        let (dir, store) = (tempfile::tempdir().unwrap(), format!("t{}e{place}", std::process::id()));
        let plan = plan(dir.path(), &store);
        fs::remove_dir_all(plan.root_layers[0].join(place)).unwrap();
        std::os::unix::fs::symlink(target, plan.root_layers[0].join(place)).unwrap();
        let error = launch(plan).err().unwrap_or_else(|| panic!("mounted over {place} -> {target}"));
        let source = std::error::Error::source(&error).unwrap().downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.raw_os_error(), Some(Errno::LOOP.raw_os_error()), "{place}: {error:?}");
        assert!(unified().is_none_or(|root| !root.join("openlattice").join(&store).exists()));
    }
}

#[tokio::test]
async fn an_image_without_mount_points_gets_them() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::launch(|plan| {
        for place in ["proc", "sys", "dev"] {
            fs::remove_dir(plan.root_layers[0].join(place)).unwrap();
        }
    });
    assert_eq!(sandbox.run("test -e /proc/self/status -a -d /sys/kernel -a -c /dev/null").await.0.code, 0);
}
