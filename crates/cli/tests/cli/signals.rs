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

/// Each signal that ends a process, by its name for a shell's trap.
const ALL: [(Signal, &str); 10] = [
    (Signal::HUP, "HUP"),
    (Signal::INT, "INT"),
    (Signal::QUIT, "QUIT"),
    (Signal::ABORT, "ABRT"),
    (Signal::USR1, "USR1"),
    (Signal::USR2, "USR2"),
    (Signal::ALARM, "ALRM"),
    (Signal::TERM, "TERM"),
    (Signal::XCPU, "XCPU"),
    (Signal::POWER, "PWR"),
];

#[test]
fn signals_reach_the_command_and_its_code_is_ours() {
    let Some(store) = Store::new("signals") else { return };
    let id = store.ok(&["create"]);
    for (signal, name) in ALL {
        let script = format!("trap 'echo cleaned; exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        for command in [&["run"][..], &["exec", &id]] {
            let mut running = store.start(&[command, &["--", "sh", "-c", &script]].concat());
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            assert_eq!(running.line(), "cleaned", "{command:?} {name}");
            assert_eq!(running.wait().code(), Some(9), "{command:?} {name}");
        }
        let mut running = store.start(&["run", "--", "sh", "-c", "echo ready; exec sleep 600"]);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(128 + signal.as_raw()), "{name}");
        assert_eq!(store.nodes(false).len(), 1, "{name}: a sandbox is left");
    }
}

#[test]
fn a_command_that_will_not_end_is_killed_after_its_grace() {
    let Some(store) = Store::new("grace") else { return };
    let id = store.ok(&["create"]);
    let mut all: Vec<_> = [&["run"][..], &["exec", &id]]
        .map(|command| store.start(&[command, &["--", "sh", "-c", STUBBORN]].concat()))
        .into();
    for running in &mut all {
        assert_eq!(running.line(), "ready");
        running.signal(Signal::TERM);
        // Does not cut the time short.
        running.signal(Signal::TERM);
    }
    for mut running in all {
        assert_eq!(running.wait().code(), Some(143));
    }
    assert_eq!(store.nodes(false).len(), 1, "a sandbox is left");
    assert_eq!(store.ok(&["exec", &id, "--", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"]), "4");
}

#[test]
fn a_provider_without_signals_ends_the_sandbox_at_the_first() {
    let Some(store) = Store::new("signals over the wire") else { return };
    for signal in [Signal::TERM, Signal::USR1] {
        let arguments = ["run", "--provider", "modal", "--", "sh", "-c", STUBBORN];
        let mut running = store.start(&arguments);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(128 + signal.as_raw()));
        assert!(store.nodes(false).is_empty(), "a sandbox is left");
    }
}

#[test]
fn a_hang_up_that_nohup_ignores_stays_ignored() {
    let Some(store) = Store::new("nohup") else { return };
    let lattice = store.lattice();
    let mut command = std::process::Command::new("nohup");
    command.arg(lattice.get_program()).args(["run", "-i", "--", "sh", "-c", "echo ready; cat; echo over"]);
    command.envs(lattice.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut running = crate::store::Running::new(command);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::HUP);
    running.tell("still\n");
    assert_eq!(running.line(), "still");
    running.end_input();
    assert_eq!(running.line(), "over");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn an_interrupted_exec_leaves_the_node() {
    let Some(store) = Store::new("interrupted exec") else { return };
    let id = store.ok(&["create"]);
    let mut running = store.start(&["exec", &id, "--", "sh", "-c", STUBBORN]);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    // Two at once may come as one.
    std::thread::sleep(std::time::Duration::from_millis(100));
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), Some(130));
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
    let states: Vec<_> = store.nodes(false).iter().map(|node| node["state"].clone()).collect();
    assert_eq!(states, ["running", "abandoned"], "a killed process cannot have ended its sandbox");
    assert!(store.ok(&["inspect", node["id"].as_str().unwrap()]).contains("abandoned"));
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
    assert!(store.ok(&["ps", "--provider", "modal"]).contains("abandoned"));
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
