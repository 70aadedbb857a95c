//! Running other programs and saying clearly how they failed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::failure::{Attempted, Failure, Result};
use crate::plant;

/// Runs a program with our own streams and fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().attempted(format!("could not start {}", name(command)))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{} failed: {status}", line(command)))) }
}

/// Runs a program and returns its standard output; on failure the error carries its standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().attempted(format!("could not start {}", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!(
            "{} failed: {}\n{}",
            line(command),
            output.status,
            said.trim_end()
        )));
    }
    String::from_utf8(output.stdout).attempted(format!("output of {} is not UTF-8", name(command)))
}

/// Runs a program, passes its standard output through, and shows each line of it to `see`.
pub(crate) fn watch(command: &mut Command, see: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .attempted(format!("could not start {}", name(command)))?;
    let output = child.stdout.take().expect("stdout was asked for as a pipe");
    follow(command, child, output, see)
}

/// Like [`watch`], with standard error in its place among the lines of standard output.
pub(crate) fn watch_both(command: &mut Command, see: impl FnMut(&str)) -> Result<()> {
    let (output, input) = std::io::pipe().attempted("could not make a pipe")?;
    let second = input.try_clone().attempted("could not share a pipe")?;
    let child = command.stdin(Stdio::null()).stdout(input).stderr(second).spawn();
    // The pipe ends when nobody can write to it any more; the command still holds what it gave the program.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = child.attempted(format!("could not start {}", name(command)))?;
    follow(command, child, output, see)
}

/// Passes the lines of a running program through until it ends.
fn follow(command: &Command, mut child: Child, output: impl Read, mut see: impl FnMut(&str)) -> Result<()> {
    for text in BufReader::new(output).split(b'\n') {
        let text = text.attempted(format!("could not read the output of {}", name(command)))?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        plant::heard(&text);
        see(&text);
    }
    let status = child.wait().attempted(format!("could not wait for {}", name(command)))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{} failed: {status}", line(command)))) }
}

/// Runs a program and returns its standard output, which it is asked for; its standard error is ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .attempted(format!("could not start {}", name(command)))?;
    if !output.status.success() {
        return Err(Failure::new(format!("{} failed: {}", line(command), output.status)));
    }
    String::from_utf8(output.stdout).attempted(format!("output of {} is not UTF-8", name(command)))
}

/// Whether a program of that name is on the search path and answers `--version`.
pub(crate) fn exists(name: &str) -> bool {
    Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as a person would type it. Environment values are left out: they may be secret.
fn line(command: &Command) -> String {
    let mut words = vec![name(command)];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_with_its_words() {
        let error = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn both_streams_come_in_their_order() {
        let mut seen = Vec::new();
        let script = "echo a; echo b >&2; echo c; exit 1";
        let outcome = watch_both(Command::new("sh").args(["-c", script]), |line| seen.push(line.to_owned()));
        assert!(outcome.is_err());
        assert_eq!(seen, ["a", "b", "c"]);
    }

    #[test]
    fn watch_shows_every_line() {
        let mut seen = Vec::new();
        watch(Command::new("sh").args(["-c", "echo a; echo b"]), |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["a", "b"]);
    }
}
