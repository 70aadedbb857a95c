//! `run -t` and `exec -t`, at a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::store::{Store, text};

/// Runs `lattice` as a shell would, and says in which state it left the terminal. (One that is the first process of its session would
/// have the kernel reset the terminal at its end.)
const SHELL: &str = "trap : INT; \"$@\"; code=$?; case \"$(stty -a)\" in *' -icanon'*) echo left raw;; *) echo left cooked;; esac; exit $code";

/// A terminal at which `lattice` runs, with us at the keys.
struct Terminal {
    keys: File,
    seen: String,
}

impl Terminal {
    fn open(rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut terminal = Self { keys: master.into(), seen: String::new() };
        terminal.resize(rows, columns);
        terminal
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keys, size).unwrap();
    }

    /// Starts `lattice` in a session of its own, whose terminal this is.
    fn start(&self, store: &Store, arguments: &[&str]) -> Child {
        let lattice = store.lattice();
        self.start_program(store, &[&[lattice.get_program().to_str().unwrap()], arguments].concat())
    }

    /// The same with any program, which has the store in its environment.
    fn start_program(&self, store: &Store, arguments: &[&str]) -> Child {
        let lattice = store.lattice();
        let mut command = Command::new("setsid");
        for (name, value) in lattice.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(ptsname(&self.keys, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        let stdio = || Stdio::from(line.try_clone().unwrap());
        command.args(["--ctty", "sh", "-c", SHELL, "sh"]).args(arguments);
        command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap()
    }

    /// The mode of the line: asked of this end, a terminal tells that of the other.
    fn is_raw(&self) -> bool {
        !tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Reads until the screen, from what was last read on, shows a text.
    fn until(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let read = self.keys.read(&mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }
}

/// Signals the one child of the shell.
fn signal(shell: &Child, signal: Signal) {
    let children = text(format!("/proc/{0}/task/{0}/children", shell.id()).as_ref());
    let pid = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The code of a `lattice` that left the terminal as it was.
fn code(terminal: &mut Terminal, mut shell: Child) -> Option<i32> {
    terminal.until("left cooked");
    shell.wait().unwrap().code()
}

#[test]
fn m12_a_command_has_a_terminal_like_ours() {
    let Some(store) = Store::new("terminal") else { return };
    for provider in ["local", "modal"] {
        let mut terminal = Terminal::open(40, 120);
        let script = "tty; stty size; echo $TERM; read line; echo \"got <$line>\"; exit 5";
        let command = ["run", "-i", "-t", "--provider", provider, "--", "sh", "-c", script];
        let child = terminal.start(&store, &command);
        terminal.until("/dev/pts/");
        terminal.until("40 120");
        terminal.until("xterm-256color");
        assert!(terminal.is_raw(), "{provider}");
        terminal.press(b"hellp\x7fo\r");
        terminal.until("got <hello>");
        assert_eq!(code(&mut terminal, child), Some(5), "{provider}");
    }
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn m12_keys_are_the_commands_as_they_are() {
    let Some(store) = Store::new("keys") else { return };
    let id = store.ok(&["create"]);
    let mut terminal = Terminal::open(24, 80);
    let script = "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.05; done";
    let child = terminal.start(&store, &["exec", "-it", &id, "--", "sh", "-c", script]);
    terminal.until("ready");
    terminal.press(b"\x03");
    terminal.until("caught");
    assert_eq!(code(&mut terminal, child), Some(4));
    // As an editor has it.
    let script = "stty raw -echo; echo ready; head -c 4 | od -An -tx1";
    let child = terminal.start(&store, &["exec", "-it", &id, "--", "sh", "-c", script]);
    terminal.until("ready");
    terminal.press(b"\x03\x1a\x04\r");
    terminal.until("03 1a 04 0d");
    assert_eq!(code(&mut terminal, child), Some(0));
}

#[test]
fn m12_a_new_size_is_passed_on() {
    let Some(store) = Store::new("resize") else { return };
    let mut terminal = Terminal::open(24, 80);
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
    let child = terminal.start(&store, &["run", "-t", "--", "sh", "-c", script]);
    terminal.until("ready");
    terminal.resize(50, 132);
    terminal.until("50 132");
    assert_eq!(code(&mut terminal, child), Some(0));
}

#[test]
fn m12_a_signal_leaves_no_raw_terminal() {
    let Some(store) = Store::new("raw terminal") else { return };
    for (number, expected) in [(Signal::TERM, 143), (Signal::QUIT, 131), (Signal::HUP, 129)] {
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(&store, &["run", "-it", "--", "sh", "-c", "echo ready; exec sleep 600"]);
        terminal.until("ready");
        assert!(terminal.is_raw());
        signal(&child, number);
        assert_eq!(code(&mut terminal, child), Some(expected));
    }
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn m12_the_end_of_input_ends_a_reader() {
    let Some(store) = Store::new("end of input") else { return };
    let mut terminal = Terminal::open(24, 80);
    let child = terminal.start(&store, &["run", "-it", "--", "sh", "-c", "echo ready; cat; echo done"]);
    terminal.until("ready");
    terminal.press(b"\x04");
    terminal.until("done");
    assert_eq!(code(&mut terminal, child), Some(0));
}

#[test]
fn g6_a_terminal_that_is_not_there_is_refused() {
    let Some(store) = Store::new("no terminal") else { return };
    let ran = store.run(&["run", "-it", "--", "true"]);
    assert_eq!(ran.code(), 125);
    assert!(ran.err().contains("-it: standard input is not a terminal"), "{}", ran.err());
    assert!(store.nodes(true).is_empty(), "a sandbox was made");
    // Its own terminal needs none of ours.
    let ran = store.run(&["run", "-t", "--", "sh", "-c", "tty; stty size; cat; echo end"]);
    assert!(ran.code() == 0 && ran.out().contains("/dev/pts/"), "{}", ran.err());
    assert!(ran.out().contains("24 80") && ran.out().contains("end"), "{}", ran.out());
}

#[test]
fn m12_a_terminal_without_input_takes_no_keys() {
    let Some(store) = Store::new("deaf terminal") else { return };
    let mut terminal = Terminal::open(30, 100);
    let script = "stty size; trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.05; done";
    let child = terminal.start(&store, &["run", "-t", "--", "sh", "-c", script]);
    terminal.until("30 100");
    terminal.until("ready");
    assert!(!terminal.is_raw());
    // Ctrl-C is then a signal to us, which is passed on.
    terminal.press(b"\x03");
    terminal.until("caught");
    assert_eq!(code(&mut terminal, child), Some(4));
}

#[test]
fn a_job_in_the_background_of_a_terminal_is_not_stopped() {
    let Some(store) = Store::new("background job") else { return };
    let mut terminal = Terminal::open(24, 80);
    let lattice = store.lattice();
    let script = format!(
        "set -m; '{}' run -- sh -c 'cat; echo over' & wait $!; echo code $?",
        lattice.get_program().display()
    );
    let shell = terminal.start_program(&store, &["sh", "-c", &script]);
    terminal.until("over");
    terminal.until("code 0");
    assert_eq!(code(&mut terminal, shell), Some(0));
}

#[test]
fn a_lost_terminal_leaves_the_command_time_to_clean_up() {
    let Some(store) = Store::new("lost terminal") else { return };
    let id = store.ok(&["create"]);
    let mut terminal = Terminal::open(24, 80);
    // What it says after the hang-up finds no terminal any more, which must not cut it short.
    let script = "trap 'echo bye; sleep 0.3; echo again; echo cleaned > /log; exit 9' HUP; echo ready; \
                  while :; do sleep 0.05; done";
    let mut shell = terminal.start(&store, &["exec", &id, "--", "sh", "-c", script]);
    terminal.until("ready");
    drop(terminal);
    shell.wait().unwrap();
    let wait = "until [ -e /log ]; do sleep 0.05; done; cat /log";
    assert_eq!(store.ok(&["exec", "--timeout", "30s", &id, "--", "sh", "-c", wait]), "cleaned");
}
