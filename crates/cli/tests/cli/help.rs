//! Help, doctor and capabilities.

use crate::store::{Store, bare};

const COMMANDS: [&str; 17] = [
    "run",
    "create",
    "exec",
    "ps",
    "port",
    "inspect",
    "rm",
    "snapshot",
    "cp",
    "watch",
    "serve",
    "images",
    "volume",
    "tag",
    "gc",
    "doctor",
    "capabilities",
];

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in COMMANDS {
        let output = bare().args([command, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text.contains("Example:\n") && text.contains(&format!("lattice {command}")), "{text}");
    }
    let output = bare().arg("--help").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("124 timeout"));
}

#[test]
fn m2_capabilities_are_machine_readable() {
    let Some(store) = Store::new("capabilities") else { return };
    for (provider, gpu) in [("local", false), ("modal", true)] {
        let text = store.ok(&["capabilities", "--json", "--provider", provider]);
        let capabilities: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&capabilities["snapshot"], &capabilities["gpu"]),
            (&true.into(), &gpu.into()),
            "{provider}"
        );
    }
    assert!(store.ok(&["capabilities"]).contains("snapshot: yes"));
}

/// Variables that name a server, what `lattice` says of it, and whether it is credited with GPUs.
type Server = (&'static [(&'static str, &'static str)], &'static str, bool);

const SERVERS: [Server; 3] = [
    (&[], "the built-in server", false),
    (&[("MODAL_SERVER_URL", "http://127.0.0.1:1")], "at http://127.0.0.1:1", false),
    (&[("MODAL_SERVER_URL", "https://api.modal.com")], "Modal's cloud at https://api.modal.com", true),
];

#[test]
fn capabilities_name_the_server_and_claim_no_gpu_types_for_ours() {
    let Some(store) = Store::new("servers") else { return };
    for (variables, said, gpus) in SERVERS {
        let ran = store.run_with(&["capabilities", "--json", "--provider", "modal"], b"", |command| {
            let pair = [("MODAL_TOKEN_ID", "ak-1"), ("MODAL_TOKEN_SECRET", "as-hush")];
            command.envs(pair.into_iter().filter(|_| !variables.is_empty())).envs(variables.iter().copied());
        });
        let json: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
        let server = json["server"].as_str().unwrap();
        assert!(server.contains(said) && !ran.out().contains("hush"), "{server}");
        assert_eq!(server.contains("no GPUs"), !gpus, "{server}");
        assert_eq!(json["constraints"]["gpuTypes"].as_array().unwrap().is_empty(), !gpus, "{json}");
    }
    assert!(
        serde_json::from_str::<serde_json::Value>(&store.ok(&["capabilities", "--json"])).unwrap()["server"]
            .is_null()
    );
}

#[test]
fn what_makes_a_sandbox_says_first_which_server_it_speaks_to() {
    let Some(store) = Store::new("first line") else { return };
    for (variables, said, _) in &SERVERS[..2] {
        for command in [&["run", "--provider", "modal", "--", "true"][..], &["create", "--provider", "modal"]]
        {
            let ran = store.run_with(command, b"", |command| {
                let pair = [("MODAL_TOKEN_ID", "ak-1"), ("MODAL_TOKEN_SECRET", "as-1")];
                command
                    .envs(pair.into_iter().filter(|_| !variables.is_empty()))
                    .envs(variables.iter().copied());
            });
            let err = ran.err();
            let first = err.lines().next().unwrap();
            assert!(first.starts_with("lattice: using ") && first.contains(said), "{command:?}: {err}");
        }
    }
    assert_eq!(store.run(&["run", "--", "true"]).err(), "");
}

#[test]
fn doctor_makes_a_node_and_leaves_nothing() {
    let Some(store) = Store::new("doctor") else { return };
    let findings: serde_json::Value = serde_json::from_str(&store.ok(&["doctor", "--json"])).unwrap();
    let trial =
        findings.as_array().unwrap().iter().find(|finding| finding["name"] == "test sandbox").unwrap();
    assert_eq!(trial["status"], "ok", "{trial}");
    assert!(store.nodes(false).is_empty(), "a node is left");
    let of_here =
        |json: &serde_json::Value| json.as_array().unwrap().iter().any(|one| one["name"] == "kernel");
    assert!(of_here(&findings));
    let kernel = findings.as_array().unwrap().iter().find(|one| one["name"] == "kernel").unwrap();
    assert!(kernel["detail"].as_str().unwrap().ends_with("(needed: 6.15)"), "{kernel}");
    // The kernel of this machine is nothing to a server elsewhere.
    let ran = store.run_with(&["doctor", "--json", "--provider", "modal"], b"", |command| {
        command.env("MODAL_SERVER_URL", "http://127.0.0.1:1");
        command.env("MODAL_TOKEN_ID", "ak-1").env("MODAL_TOKEN_SECRET", "as-1");
    });
    let elsewhere: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    assert!(ran.code() == 1 && !of_here(&elsewhere), "{elsewhere}");
    let server = elsewhere.as_array().unwrap().iter().find(|one| one["name"] == "server").unwrap();
    assert!(server["detail"].as_str().unwrap().contains("http://127.0.0.1:1"), "{server}");
}

#[test]
fn a_closed_output_is_no_complaint() {
    let Some(store) = Store::new("closed output") else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = store.lattice().args(["capabilities"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
