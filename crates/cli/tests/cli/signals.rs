//! Signals to `lattice run` and its sudden death.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::store::Store;

const PATIENT: &str = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done";
const STUBBORN: &str = "trap '' INT TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn the_first_interrupt_is_the_commands() {
    let Some(store) = Store::new("first interrupt") else { return };
    let mut running = store.start(&["run", "--", "sh", "-c", PATIENT]);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::INT);
    assert_eq!(running.line(), "caught");
    assert_eq!(running.wait().code(), Some(3));
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn a_second_interrupt_ends_the_node() {
    let Some(store) = Store::new("second interrupt") else { return };
    let script = "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done";
    let mut running = store.start(&["run", "--", "sh", "-c", script]);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::INT);
    assert_eq!(running.line(), "caught");
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), Some(130));
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn a_request_to_end_and_a_lost_terminal_end_the_node() {
    let Some(store) = Store::new("terminate") else { return };
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut running = store.start(&["run", "--", "sh", "-c", STUBBORN]);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(code));
        assert!(store.nodes(false).is_empty(), "a node is left");
    }
}

#[test]
fn an_interrupted_exec_leaves_the_node() {
    let Some(store) = Store::new("interrupted exec") else { return };
    let id = store.ok(&["create"]);
    let mut running = store.start(&["exec", &id, "--", "sh", "-c", STUBBORN]);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), Some(143));
    assert_eq!(store.nodes(false).len(), 1);
    let left =
        store.ok(&["exec", &id, "--", "sh", "-c", "grep -l stub /proc/[0-9]*/comm; grep -c . /proc/1/comm"]);
    assert_eq!(left, "1");
}

#[test]
fn g5_gc_ends_the_node_of_a_killed_run() {
    let Some(store) = Store::new("killed run") else { return };
    let mut running = store.start(&["run", "--", "sh", "-c", "echo ready; sleep 600"]);
    assert_eq!(running.line(), "ready");
    let node = store.nodes(false).remove(0);
    let detached = store.ok(&["create"]);
    running.kill();
    assert_eq!(store.nodes(false).len(), 2, "a killed process cannot have ended its node");
    let report = store.ok(&["gc"]);
    assert!(report.contains(&format!("ended {}", node["id"].as_str().unwrap())), "{report}");
    let left = store.nodes(false);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["id"], detached.as_str());
}

#[test]
fn g5_gc_over_the_wire_ends_the_node_of_a_killed_run() {
    let Some(store) = Store::new("killed run over the wire") else { return };
    let mut running = store.start(&["run", "--provider", "modal", "--", "sh", "-c", "echo ready; sleep 600"]);
    assert_eq!(running.line(), "ready");
    let node = store.nodes(false).remove(0);
    running.kill();
    let report = store.ok(&["gc", "--provider", "modal"]);
    assert!(report.contains(&format!("ended {}", node["id"].as_str().unwrap())), "{report}");
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn a_signal_before_the_command_leaves_nothing() {
    let Some(store) = Store::new("early signal") else { return };
    // The name that its main thread has once the program runs: from then on the signal is caught or ends it.
    let mut running = store.start(&["run", "--", "sleep", "600"]);
    running.signal(Signal::TERM);
    let status = running.wait();
    assert!(status.code() == Some(143) || status.signal() == Some(15), "{status}");
    store.ok(&["gc"]);
    assert!(store.nodes(false).is_empty(), "a node is left");
}
