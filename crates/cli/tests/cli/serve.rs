//! `lattice serve`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::process::Signal;

use crate::store::{Running, Store, bare};

fn server(store: &Store, pair: Option<(&str, &str)>, arguments: &[&str]) -> (Running, String) {
    let mut command = store.lattice();
    command.arg("serve").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some((id, secret)) = pair {
        command.env("MODAL_TOKEN_ID", id).env("MODAL_TOKEN_SECRET", secret);
    }
    let mut running = Running::new(command);
    let line = running.line();
    let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (running, url)
}

#[test]
fn m31_clients_with_the_right_pair_are_served() {
    let Some(store) = Store::new("serve") else { return };
    let (mut running, url) = server(&store, Some(("ak-test", "as-test")), &["--listen", "127.0.0.1:0"]);
    let call = |secret: &str| {
        let arguments = ["run", "--provider", "modal", "--", "echo", "served"];
        store.run_with(&arguments, b"", |command| {
            command
                .env("MODAL_SERVER_URL", &url)
                .env("MODAL_TOKEN_ID", "ak-test")
                .env("MODAL_TOKEN_SECRET", secret);
        })
    };
    let right = call("as-test");
    assert_eq!((right.code(), right.out().as_str()), (0, "served\n"), "{}", right.err());
    assert!(!right.err().contains("in this process"), "{}", right.err());
    let wrong = call("as-wrong");
    assert_eq!(wrong.code(), 125, "{}", wrong.err());
    assert!(!wrong.err().contains("as-wrong"), "{}", wrong.err());
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn nodes_outlive_the_server() {
    let Some(store) = Store::new("serve and kill") else { return };
    let (mut first, url) = server(&store, None, &["--no-auth"]);
    let call = |url: &str, arguments: &[&str]| {
        let ran = store.run_with(&[&["--provider", "modal"], arguments].concat(), b"", |command| {
            command
                .env("MODAL_SERVER_URL", url)
                .env("MODAL_TOKEN_ID", "ak-any")
                .env("MODAL_TOKEN_SECRET", "as-any");
        });
        assert_eq!(ran.code(), 0, "{arguments:?}: {}", ran.err());
        ran.out().trim_end().to_owned()
    };
    let id = call(&url, &["create", "--setup", "--", "sh", "-c", "echo kept > /root/file"]);
    first.kill();
    let (mut second, url) = server(&store, None, &["--no-auth"]);
    assert_eq!(call(&url, &["exec", &id, "--", "cat", "/root/file"]), "kept");
    assert_eq!(call(&url, &["rm", &id]), id);
    second.kill();
}

#[test]
fn the_log_has_each_call_when_it_is_asked_for() {
    let Some(store) = Store::new("log") else { return };
    let file = store.path("log");
    let mut command = store.lattice();
    command.args(["serve", "--no-auth", "--log", "debug"]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(std::fs::File::create(&file).unwrap());
    let mut running = Running::new(command);
    let url = running.line().strip_prefix("listening on ").unwrap().to_owned();
    let call = |arguments: &[&str]| {
        store.run_with(&[&["--provider", "modal"], arguments].concat(), b"", |command| {
            command.env("MODAL_SERVER_URL", &url).env("MODAL_TOKEN_ID", "a").env("MODAL_TOKEN_SECRET", "b");
        })
    };
    let plain = call(&["run", "--", "true"]);
    let said = plain.err();
    assert!(plain.code() == 0 && said.lines().count() == 1 && said.contains(&url), "{said}");
    let logged = call(&["--log", "debug", "exec", "sb-unknown", "--", "true"]);
    assert_eq!(logged.code(), 125, "{}", logged.err());
    assert!(logged.err().contains("call ended") && logged.err().contains("not found"), "{}", logged.err());
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), Some(0));
    let log = std::fs::read_to_string(file).unwrap();
    let calls = |name: &str, status: &str| {
        let is = |line: &&str| line.contains(name) && line.contains(&format!("status=\"{status}\""));
        log.lines().filter(is).count()
    };
    assert!(calls("TaskExecStart", "0") == 1 && calls("answered", "5") > 0, "{log}");
}

#[test]
fn an_ordinary_user_is_told_at_the_start() {
    let Some(store) = Store::new("serve as a user") else { return };
    // Below a folder that everybody may enter, whoever built the program where.
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("lattice");
    fs::copy(store.lattice().get_program(), &program).unwrap();
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(65_534), Some(65_534)).unwrap();
    for (arguments, code) in [(&["serve"][..], 6), (&["run", "--", "true"], 125), (&["create"], 6)] {
        let mut command = std::process::Command::new(&program);
        command.args(arguments).uid(65_534).gid(65_534).env_clear().current_dir("/");
        let output = command.env("LATTICE_STATE_DIR", &own).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{said}");
        assert!(!said.contains("run as root once"), "{said}");
        assert!(said.contains("sandboxes need root on this machine") && said.contains("sudo"), "{said}");
    }
}

#[test]
fn unsafe_settings_are_refused() {
    let Some(store) = Store::new("serve refusals") else { return };
    let open = store.run(&["serve", "--no-auth", "--listen", "0.0.0.0:0"]);
    assert_eq!(open.code(), 2, "{}", open.err());
    assert!(open.err().contains("loopback"), "{}", open.err());
    let half = store.run_with(&["serve"], b"", |command| {
        command.env("MODAL_TOKEN_ID", "ak-1");
    });
    assert_eq!(half.code(), 2, "{}", half.err());
    let loud = bare().args(["serve", "--log", "loud"]).output().unwrap();
    let said = String::from_utf8(loud.stderr).unwrap();
    assert!(loud.status.code() == Some(2) && said.contains("loud") && said.contains("debug"), "{said}");
    let bad = bare().args(["serve", "--listen", "nowhere"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
}
