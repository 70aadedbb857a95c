//! Secrets that a run plants in its stages, and the search for them in everything that the stages say.
//!
//! Stages get the values by a file or by environment. What any program prints passes through [`heard`], and a watcher looks at the command
//! lines of all processes while the stages run. The bait goes the same ways on purpose: a search that does not find it proves nothing.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::failure::{Attempted, Failure, Result};
use crate::{process, program};

/// How often the command lines of all processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The name of the value that is meant to be found.
const BAIT: &str = "BAIT";
/// What is planted. `TOKEN_SECRET` is the one that servers of the stages ask for.
const NAMES: [&str; 6] = ["TOKEN_SECRET", "ENV", "SECRET", "TAILNET_KEY", "REGISTRY_PASSWORD", BAIT];

/// One planted value.
#[derive(Debug)]
struct Plant {
    name: &'static str,
    value: String,
    /// The value as it is, and as its bytes look in hexadecimal and where somebody printed them as numbers.
    forms: [String; 3],
}

/// Where values were found.
static FINDS: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());
/// How many lines and command lines were searched.
static SEARCHED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn planted() -> &'static [Plant] {
    static PLANTED: OnceLock<Vec<Plant>> = OnceLock::new();
    PLANTED.get_or_init(|| NAMES.map(Plant::random).into())
}

impl Plant {
    fn random(name: &'static str) -> Self {
        let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        let value = format!("pl{}{}", random.trim().replace('-', ""), std::process::id());
        let numbers: Vec<_> = value.bytes().map(|byte| byte.to_string()).collect();
        let hex = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        Self { name, forms: [value.clone(), hex, numbers.join(", ")], value }
    }
}

/// The value of a name.
pub(crate) fn value(name: &str) -> &'static str {
    &planted()
        .iter()
        .find(|plant| plant.name == name)
        .expect("the name is one of those that are planted")
        .value
}

/// Hands the values to a program, in a file that `OPENLATTICE_TEST_PLANTS` names and that the caller removes: the environment would
/// be inherited by programs that must not have them.
pub(crate) fn hand(command: &mut Command, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("planted");
    let lines = planted().iter().filter(|plant| plant.name != BAIT);
    let text: String = lines.map(|plant| format!("{}={}\n", plant.name, plant.value)).collect();
    let failed = || format!("could not write {}", path.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).attempted(failed())?;
    file.write_all(text.as_bytes()).attempted(failed())?;
    command.env("OPENLATTICE_TEST_PLANTS", &path);
    Ok(path)
}

/// Searches a line that a program printed.
pub(crate) fn heard(line: &str) {
    search("output", 0, line);
}

fn search(place: &'static str, counter: usize, text: &str) {
    SEARCHED[counter].fetch_add(1, Ordering::Relaxed);
    for plant in planted() {
        if plant.forms.iter().any(|form| text.contains(form.as_str())) {
            let shown = plant
                .forms
                .iter()
                .fold(text.to_owned(), |text, form| text.replace(form.as_str(), "<planted>"));
            let find = (plant.name, format!("{place}: {shown}"));
            FINDS.lock().unwrap_or_else(PoisonError::into_inner).insert(find);
        }
    }
}

/// Looks at command lines until it is told to stop.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Starts to look.
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                process::all().iter().for_each(|process| search("command line", 1, &process.title()));
            }
        });
        Self { stop, thread }
    }

    /// Puts the bait out, stops, and fails when anything but the bait was found, or not even that.
    pub(crate) fn finish(self) -> Result<String> {
        bait(|| !baits("command line").is_empty())?;
        drop(self.stop);
        self.thread.join().map_err(|_| Failure::new("the watcher of command lines panicked"))?;
        verdict()
    }
}

/// Starts a program that has the bait in its command line and prints it, and lets it go on until `seen`.
fn bait(seen: impl Fn() -> bool) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", "read line; : \"$0\"", value(BAIT)]).stdin(Stdio::piped());
    let mut child = command.spawn().attempted("could not put out the bait")?;
    while !seen() && child.try_wait().attempted("could not watch the bait")?.is_none() {
        thread::sleep(LOOK_EVERY);
    }
    drop(child.stdin.take());
    child.wait().attempted("could not take in the bait")?;
    let print = "printf '%s\\n' \"$BAIT\"; printf '%s\\n' \"$BAIT\" >&2";
    program::watch_both(Command::new("sh").args(["-c", print]).env("BAIT", value(BAIT)), |_| ())
}

fn baits(place: &str) -> Vec<String> {
    finds()
        .into_iter()
        .filter(|(name, at)| *name == BAIT && at.starts_with(place))
        .map(|(_, at)| at)
        .collect()
}

fn finds() -> BTreeSet<(&'static str, String)> {
    FINDS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn verdict() -> Result<String> {
    for place in ["output", "command line"] {
        if baits(place).is_empty() {
            return Err(Failure::new(format!(
                "the bait was not found in any {place}, so nothing was searched there"
            )));
        }
    }
    let found: Vec<_> = finds().into_iter().filter(|(name, _)| *name != BAIT).collect();
    if !found.is_empty() {
        let lines: Vec<_> = found.iter().map(|(name, at)| format!("{name} in {at}")).collect();
        return Err(Failure::new(format!("{} planted secrets show:\n  {}", found.len(), lines.join("\n  "))));
    }
    let [lines, commands] = SEARCHED.each_ref().map(|count| count.load(Ordering::Relaxed));
    let values = NAMES.len() - 1;
    Ok(format!("{values} planted values nowhere in {lines} lines of output and {commands} command lines"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g8_the_search_finds_what_is_printed_and_what_is_on_a_command_line() {
        let watcher = Watcher::start();
        let said = watcher.finish().unwrap();
        assert!(said.starts_with("5 planted values nowhere"), "{said}");
        assert!(finds().iter().all(|(_, at)| !at.contains(value(BAIT))), "a find repeats the value");

        // From here on a value other than the bait shows, in each of its forms.
        for form in &planted()[1].forms {
            heard(&format!("error: {form} was refused"));
        }
        let failure = verdict().unwrap_err().to_string();
        assert_eq!(failure.lines().nth(1), Some("  ENV in output: error: <planted> was refused"));
    }
}
