//! The list of tasks and their arguments.

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;
use crate::{bench, codegen, cycles, deny, docs, drift, layering, lint, rows, soak, stage, test};

const USAGE: &str = "\
usage: cargo xtask TASK

  test [STAGE...]       every test, or the named stages only (`cargo xtask test --list` names them)
  rows                  each row of the mission with the tests that proved it in the last `test`; fails where one has none
  bench NAME [--check]  measure; with --check fail when a goal is missed (names: engine, client)
  soak [--minutes N] [--seed N]
                        mixed load on one store with kill -9 of whoever works on it; nothing acknowledged may be lost
  cycles [--cycles N]   create, exec and rm again and again by 8 at once; disk, memory and descriptors must stay flat
  lint                  rustfmt and clippy, warnings denied
  docs                  rustdoc, warnings denied
  layering              the arrows between our crates
  deny                  licences, bans and sources of every dependency
  drift                 our protocol subset against the official descriptors
  codegen [--check]     generate the protocol code anew, or check that the committed code is current";

/// Runs the task that the arguments name.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::locate();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", stages @ ..] => test::run(&workspace, stages),
        ["rows"] => rows::check(&workspace),
        ["bench", rest @ ..] => bench::run(&workspace, rest),
        ["soak", rest @ ..] => soak::run(&workspace, rest),
        ["cycles", rest @ ..] => cycles::run(&workspace, rest),
        ["lint"] => lint::check(&workspace),
        ["docs"] => docs::check(&workspace),
        ["layering"] => stage::alone("layering", || layering::check(&workspace)),
        ["deny"] => stage::alone("deny", || deny::check(&workspace)),
        ["drift"] => stage::alone("drift", || drift::check(&workspace)),
        ["codegen"] => codegen::run(&workspace),
        ["codegen", "--check"] => stage::alone("codegen", || codegen::check(&workspace)),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::new(format!("no task {:?}\n{USAGE}", other.join(" ")))),
    }
}
