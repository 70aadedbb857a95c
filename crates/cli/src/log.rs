//! The log: what `lattice` and its libraries report to `tracing`, on standard error.

use std::io;
use std::str::FromStr;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How the names of our crates begin.
const OURS: [&str; 2] = ["openlattice", "lattice"];
/// Reports each call of a provider; without `--log`, failures are said once, by the command.
const CALLS: &str = "openlattice_layers";

/// What is written: everything from a level on, of our own crates or by crate.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Targets);

impl Filter {
    fn ours(level: LevelFilter) -> Self {
        Self(OURS.into_iter().fold(Targets::new(), |targets, name| targets.with_target(name, level)))
    }
}

impl Default for Filter {
    /// Warnings.
    fn default() -> Self {
        let Self(targets) = Self::ours(LevelFilter::WARN);
        Self(targets.with_target(CALLS, LevelFilter::OFF))
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            // A variable that is set to nothing is no wish.
            return Ok(Self::default());
        }
        if let Ok(level) = text.parse() {
            return Ok(Self::ours(level));
        }
        // A word alone would be taken for the name of a crate.
        let named = text.split(',').all(|part| part.contains('='));
        let targets = text.parse().ok().filter(|_| named);
        targets.map(Self).ok_or_else(|| {
            "give off, error, warn, info, debug or trace, or levels by crate, as openlattice_modal=debug,h2=info"
                .to_owned()
        })
    }
}

/// Writes from now on what the filter lets through, one line each, with the time in UTC.
pub(crate) fn start(filter: Filter) {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false).log_internal_errors(false);
    tracing_subscriber::registry().with(lines.with_filter(filter.0)).init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn filter(text: &str) -> Targets {
        text.parse::<Filter>().unwrap().0
    }

    #[test]
    fn a_level_is_for_our_crates() {
        let debug = filter("debug");
        assert!(debug.would_enable("openlattice_modal_server::front", &Level::DEBUG));
        assert!(debug.would_enable("lattice", &Level::DEBUG));
        assert!(!debug.would_enable("openlattice_local", &Level::TRACE));
        assert!(!debug.would_enable("h2::client", &Level::ERROR));
        assert!(!filter("off").would_enable("lattice", &Level::ERROR));
    }

    #[test]
    fn levels_are_given_by_crate() {
        let some = filter("openlattice_modal=info,h2=debug");
        assert!(some.would_enable("h2", &Level::DEBUG));
        assert!(some.would_enable("openlattice_modal_client", &Level::INFO));
        assert!(!some.would_enable("openlattice_local", &Level::ERROR));
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["verbose", "h2=loud", "h2", "debug,h2=info"] {
            assert!(text.parse::<Filter>().unwrap_err().contains("warn"), "{text:?}");
        }
    }

    #[test]
    fn without_a_word_warnings_show_and_calls_do_not() {
        let plain = filter("");
        assert!(plain.would_enable("openlattice_modal_client::warning", &Level::WARN));
        assert!(!plain.would_enable("openlattice_modal_server", &Level::INFO));
        assert!(!plain.would_enable("openlattice_layers::trace", &Level::WARN));
    }
}
