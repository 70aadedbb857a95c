//! `lattice run`.

use std::fs;

use crate::store::{Store, bare, text};

const BOTH: [&str; 2] = ["local", "modal"];

#[test]
fn m12_m13_output_and_code_of_the_command_are_ours() {
    let Some(store) = Store::new("run") else { return };
    for provider in BOTH {
        let script = "echo out; echo err >&2; exit 7";
        let ran = store.run(&["run", "--provider", provider, "--", "sh", "-c", script]);
        assert_eq!((ran.code(), ran.out().as_str()), (7, "out\n"), "{provider}: {}", ran.err());
        assert!(ran.err().ends_with("err\n"), "{provider}: {}", ran.err());
        assert_eq!(ran.err().contains("in this process"), provider == "modal", "{}", ran.err());
    }
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn each_end_has_its_code() {
    let Some(store) = Store::new("exit codes") else { return };
    for provider in BOTH {
        let cases: [(&[&str], i32, &str); 6] = [
            (&["--", "no-such-program"], 127, "no-such-program"),
            (&["--", "/etc/passwd"], 126, "/etc/passwd"),
            (&["--timeout", "200ms", "--", "sleep", "600"], 124, "timed out"),
            (&["--", "sh", "-c", "kill -TERM $$"], 143, ""),
            (&["--image", "127.0.0.1:1/no-such-image", "--", "true"], 125, "no-such-image"),
            (&["--network", "open", "--", "true"], 125, "network.policy"),
        ];
        for (arguments, code, word) in cases {
            let ran = store.run(&[&["run", "--provider", provider], arguments].concat());
            assert_eq!(ran.code(), code, "{provider} {arguments:?}: {}", ran.err());
            assert!(ran.err().contains(word), "{provider} {arguments:?}: {}", ran.err());
        }
    }
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn wrong_arguments_are_125_for_run_and_2_for_others() {
    let code = |arguments: &[&str]| bare().args(arguments).output().unwrap().status.code();
    assert_eq!(code(&["run"]), Some(125));
    assert_eq!(code(&["run", "--memory", "lots", "--", "true"]), Some(125));
    assert_eq!(code(&["exec", "sb-1"]), Some(125));
    assert_eq!(code(&["ps", "--bogus"]), Some(2));
    assert_eq!(code(&[]), Some(2));
}

#[test]
fn g8_variables_come_from_arguments_files_and_the_environment() {
    let Some(store) = Store::new("variables") else { return };
    fs::write(store.path("env"), "# comment\nFROM_FILE=file\nOVER=file\n").unwrap();
    let file = store.path("env").to_string_lossy().into_owned();
    let arguments = [
        "run",
        "--env-file",
        &file,
        "-e",
        "OVER=argument",
        "-e",
        "INHERITED",
        "-w",
        "/var/tmp",
        "--",
        "sh",
        "-c",
        "echo $FROM_FILE $OVER $INHERITED $PWD ${NOT_GIVEN-unset}",
    ];
    let set = |command: &mut std::process::Command| {
        command.env("INHERITED", "from us").env("NOT_GIVEN", "1");
    };
    let ran = store.run_with(&arguments, b"", set);
    assert_eq!(ran.out(), "file argument from us /var/tmp unset\n", "{}", ran.err());
    fs::write(store.path("env"), "OK=1\nexport A=1\n").unwrap();
    for (given, words) in [
        (["-e", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["-e", "A B=2"], "A B=2"),
        (["--env-file", &file], "line 2 of"),
    ] {
        let ran = store.run(&[&["run"], &given[..], &["--", "env"]].concat());
        assert_eq!((ran.code(), ran.out().as_str()), (125, ""), "{given:?}");
        assert!(ran.err().contains(words), "{}", ran.err());
        assert_eq!(store.run(&[&["create"], &given[..]].concat()).code(), 2, "{given:?}");
    }
}

#[test]
fn g7_limits_hold_and_the_result_file_says_why() {
    let Some(store) = Store::new("limits") else { return };
    let file = store.path("result.json").to_string_lossy().into_owned();
    let arguments = [
        "run",
        "--memory",
        "32m",
        "--result",
        &file,
        "--",
        "dd",
        "if=/dev/zero",
        "of=/dev/null",
        "bs=300M",
        "count=1",
    ];
    let ran = store.run(&arguments);
    let result: serde_json::Value = serde_json::from_str(&text(&store.path("result.json"))).unwrap();
    assert_eq!((ran.code(), &result["reason"]), (137, &"outOfMemory".into()), "{}{result}", ran.err());
    assert!(ran.err().contains("memory limit"), "{}", ran.err());
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; echo all";
    let ran = store.run(&["run", "--pids", "8", "--timeout", "20s", "--", "sh", "-c", script]);
    assert_ne!(ran.out(), "all\n", "{}", ran.err());
    let ran = store.run(&["run", "--result", &file, "--", "no-such-program"]);
    let result: serde_json::Value = serde_json::from_str(&text(&store.path("result.json"))).unwrap();
    assert_eq!((ran.code(), &result["exitCode"], &result["reason"]), (127, &127.into(), &"failed".into()));
    assert_eq!(result["error"]["kind"], "notFound");
}

#[test]
fn nothing_of_the_machine_shows_but_usr() {
    let Some(store) = Store::new("isolation") else { return };
    let script = "id -u; ls -A /root /home /usr/local/bin; cat /etc/shadow 2>&1; ls /proc | grep -c '^[0-9]'; \
                  cat /proc/1/comm; hostname";
    let ran = store.run(&["run", "--", "sh", "-c", script]);
    let out = ran.out();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(
        out.starts_with("0\n/home:\n\n/root:\n\n/usr/local/bin:\ncat: /etc/shadow: No such file"),
        "{out}"
    );
    let lines: Vec<&str> = out.lines().collect();
    let processes: u32 = lines[lines.len() - 3].parse().unwrap();
    assert!(processes < 8, "{out}");
    assert_ne!(lines[lines.len() - 1], host);
}
