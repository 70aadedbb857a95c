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

#[test]
fn doctor_makes_a_node_and_leaves_nothing() {
    let Some(store) = Store::new("doctor") else { return };
    let findings: serde_json::Value = serde_json::from_str(&store.ok(&["doctor", "--json"])).unwrap();
    let trial = findings.as_array().unwrap().iter().find(|finding| finding["name"] == "trial node").unwrap();
    assert_eq!(trial["status"], "ok", "{trial}");
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn a_closed_output_is_no_complaint() {
    let Some(store) = Store::new("closed output") else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = store.lattice().args(["capabilities"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
