//! Commands: start, end, signals, what they are given.

use super::*;

#[tokio::test]
async fn a_command_runs_in_the_image_host() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::launch(|_| {});
    let id = sandbox.start(command(&["/usr/bin/id"]), false).await.unwrap();
    let status = sandbox.end(&id);
    assert_eq!(
        (status.state, status.code),
        (exec_state::EXITED, 0),
        "{}",
        String::from_utf8_lossy(&sandbox.read(&id, "stderr"))
    );
    assert_eq!(sandbox.read(&id, "stdout"), b"uid=0(root) gid=0(root) groups=0(root)\n");
    assert_eq!(status.stdout_len, 39);
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
            let status = sandbox.end(&id);
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
            sandbox.end(&id);
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
        sandbox.end(&id);
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
async fn signals_reach_the_group() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox
                .start(shell("trap 'echo got; exit 7' TERM; echo ready; sleep 600 & wait"), false)
                .await
                .unwrap();
            sandbox.output(&id);
            let agent = sandbox.agent().await;
            agent.signal(&id, 15, false).await.unwrap();
            let status = sandbox.end(&id);
            assert_eq!((status.code, status.flags), (7, 0));
            assert!(agent.signal(&id, 15, false).await.unwrap_err().is(Errno::SRCH));
            assert!(agent.signal("unknown", 15, false).await.unwrap_err().is(Errno::SRCH));
        },
    )
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
            let status = sandbox.end(&id);
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
async fn nonsense_from_a_front_does_not_stop_the_agent() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            use crate::protocol::{MAX_FDS, MAX_PACKET};
            let path = SocketAddrUnix::new(sandbox.dir.path().join("agent.sock")).unwrap();
            let connect = || {
                let socket = rustix::net::socket_with(
                    AddressFamily::UNIX,
                    SocketType::SEQPACKET,
                    SocketFlags::CLOEXEC,
                    None,
                )
                .unwrap();
                rustix::net::connect(&socket, &path).unwrap();
                socket
            };
            let flags = rustix::net::SendFlags::NOSIGNAL;
            let null = fs::File::open("/dev/null").unwrap();
            let header = Writer::packet(op::EXEC, 1).finish();
            let mut broken = Writer::packet(op::STDIN, 1).bytes(tag::EXEC_ID, b"exec-0").finish();
            broken[20] = 0xff;
            let packets: [&[u8]; 8] = [
                b"x",
                &[0xff; MAX_PACKET],
                &broken,
                &header,
                &Writer::packet(op::EXEC, 1).bytes(tag::EXEC_ID, b"../x").finish(),
                &Writer::packet(op::EXEC, 1)
                    .bytes(tag::EXEC_ID, b"a")
                    .bytes(tag::ROLES, &[0xff; MAX_FDS])
                    .finish(),
                &Writer::packet(op::SIGNAL, 1)
                    .bytes(tag::EXEC_ID, b"none")
                    .bytes(tag::SIGNAL, b"123")
                    .finish(),
                &Writer::packet(4711, 1).finish(),
            ];
            for packet in packets {
                let socket = connect();
                let fds = vec![null.as_fd(); MAX_FDS];
                crate::agent::records::send(socket.as_fd(), packet, &fds, flags).unwrap();
            }
            // One that asks and never listens.
            let deaf = connect();
            let hello = Writer::packet(op::HELLO, 1).finish();
            let many = flags | rustix::net::SendFlags::DONTWAIT;
            for _ in 0..10_000 {
                let _ = crate::agent::records::send(deaf.as_fd(), &hello, &[], many);
            }
            // More than it keeps: the last ones are turned away, nobody else is.
            let crowd: Vec<OwnedFd> = (0..100).map(|_| connect()).collect();
            assert_eq!(sandbox.run("echo fine").await.1, "fine\n");
            drop(crowd);
            let open = || fs::read_dir(format!("/proc/{}/fd", sandbox.pid())).unwrap().count();
            // It notices hang-ups between other work.
            for _ in 0..100 {
                if open() < 40 {
                    return;
                }
                sandbox.run("true").await;
            }
            panic!("the agent kept {} descriptors", open());
        },
    )
    .await;
}
