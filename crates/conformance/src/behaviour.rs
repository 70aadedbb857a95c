//! The behaviours, a file per operation.

use std::future::Future;
use std::pin::Pin;

use crate::case::Case;
use crate::verdict::Outcome;

mod cancel;
mod destroy;
mod exec;
mod exec_options;
mod exec_timeout;
mod extension;
mod files;
mod files_stream;
mod files_watch;
mod gc;
mod health;
mod input;
mod inspect;
mod key;
mod limits;
mod list;
mod main_process;
mod output;
mod provision;
mod provision_options;
mod refusal;
mod secret;
mod session;
mod snapshot;
mod tags;
mod terminal;
mod volumes;

/// A future that a test is.
type Running = Pin<Box<dyn Future<Output = Outcome>>>;

/// One behaviour and the test that proves it.
pub(crate) struct Behaviour {
    /// The test's name, which starts with its row or promise.
    pub(crate) name: &'static str,
    /// Starts the test.
    pub(crate) run: fn(Case) -> Running,
}

/// Lists the functions of a file as behaviours of their own name.
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        /// Returns the behaviours of this file.
        pub(crate) fn all() -> Vec<$crate::behaviour::Behaviour> {
            vec![$($crate::behaviour::Behaviour { name: stringify!($name), run: |case| Box::pin($name(case)) }),+]
        }
    };
}

pub(crate) use behaviours;

/// Returns every behaviour.
pub(crate) fn all() -> Vec<Behaviour> {
    [
        provision::all(),
        provision_options::all(),
        main_process::all(),
        key::all(),
        limits::all(),
        exec::all(),
        exec_options::all(),
        exec_timeout::all(),
        output::all(),
        input::all(),
        session::all(),
        terminal::all(),
        inspect::all(),
        list::all(),
        destroy::all(),
        gc::all(),
        snapshot::all(),
        health::all(),
        files::all(),
        files_stream::all(),
        files_watch::all(),
        extension::all(),
        refusal::all(),
        secret::all(),
        cancel::all(),
        tags::all(),
        volumes::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_name_starts_with_a_row_or_promise_and_is_unique() {
        let all = super::all();
        let names: BTreeSet<_> = all.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), all.len());
        for name in names {
            let (row, _) = name.split_once('_').unwrap();
            let (letter, number) = row.split_at(1);
            let bound = if letter == "m" { 33 } else { 9 };
            assert!(matches!(letter, "m" | "g"), "{name}");
            assert!((1..=bound).contains(&number.parse::<u32>().unwrap()), "{name}");
        }
    }

    #[test]
    fn every_row_from_m4_to_m29_and_every_promise_has_a_test() {
        let all = super::all();
        let wanted =
            (4..=29).map(|row| format!("m{row:02}_")).chain((1..=9).map(|promise| format!("g{promise}_")));
        for prefix in wanted {
            assert!(all.iter().any(|one| one.name.starts_with(&prefix)), "{prefix} has no test");
        }
    }
}
