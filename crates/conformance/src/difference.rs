//! Differences that are known: behaviours that a provider is expected not to have, as data.

use std::collections::BTreeMap;
use std::fmt;

use openlattice::{Error, Result};
use serde::Deserialize;

use crate::behaviour;
use crate::judge::Judgement;

/// The behaviours in which a provider is known to differ from the contract, each with what is seen instead and why.
///
/// For providers whose other side is not theirs to change, such as a service. In TOML, a table for each behaviour:
///
/// ```
/// let text = r#"
/// [m13_a_non_zero_exit_is_a_result]
/// expected = "kind Internal"
/// reason = "the service reports the exit as a failure of its own (seen 2026-11-20)"
/// "#;
/// assert_eq!(openlattice_conformance::Differences::parse(text).unwrap().len(), 1);
/// ```
///
/// The suite still judges each of them, with the same assertions. One that fails as `expected` is reported as a difference, with its
/// reason; one that fails otherwise, or holds, fails the suite: the list stays true.
#[derive(Clone, Debug, Default)]
pub struct Differences(BTreeMap<String, Difference>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// A part of what the suite says when the behaviour does not hold.
    expected: String,
    reason: String,
}

impl Differences {
    /// Reads a list.
    ///
    /// # Errors
    /// `InvalidArgument` for malformed text, a name that no behaviour has, and an empty `expected` or `reason`.
    pub fn parse(text: &str) -> Result<Self> {
        let list: BTreeMap<String, Difference> = toml::from_str(text).map_err(invalid)?;
        for (name, difference) in &list {
            if !behaviour::all().iter().any(|one| one.name == name) {
                return Err(invalid(format_args!("has {name:?}, and no behaviour has that name")));
            }
            if difference.expected.trim().is_empty() || difference.reason.trim().is_empty() {
                return Err(invalid(format_args!("does not say what is expected of {name}, or why")));
            }
        }
        Ok(Self(list))
    }

    /// Returns how many are listed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Judges what was seen of a behaviour by what is listed of it.
    pub(crate) fn judge(&self, name: &str, seen: Judgement) -> Judgement {
        let Some(Difference { expected, reason }) = self.0.get(name) else { return seen };
        match seen {
            Judgement::Broken(text) | Judgement::Hangs(text) if text.contains(expected) => {
                Judgement::Differs(reason.clone())
            }
            Judgement::Broken(text) | Judgement::Hangs(text) => {
                Judgement::Broken(format!("differs, and not as listed: {text}\nexpected was: {expected}"))
            }
            Judgement::Holds => {
                let text = format!("holds, and is listed as a difference ({reason}): take it off the list");
                Judgement::Broken(text)
            }
            unjudged => unjudged,
        }
    }
}

fn invalid(problem: impl fmt::Display) -> Error {
    Error::invalid("read differences", "differences", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "m13_a_non_zero_exit_is_a_result";

    fn list() -> Differences {
        Differences::parse(&format!("[{NAME}]\nexpected = \"kind Internal\"\nreason = \"its own way\"\n"))
            .unwrap()
    }

    #[test]
    fn a_listed_difference_must_be_seen_as_listed() {
        let seen = |text: &str| list().judge(NAME, Judgement::Broken(text.to_owned()));
        let broken = |judgement: Judgement| match judgement {
            Judgement::Broken(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(seen("wait: kind Internal"), Judgement::Differs("its own way".to_owned()));
        assert!(broken(seen("wait: kind Timeout")).contains("not as listed"));
        assert!(broken(list().judge(NAME, Judgement::Holds)).contains("take it off"));
        let skipped = Judgement::Skipped("no GPU".to_owned());
        assert_eq!(list().judge(NAME, skipped.clone()), skipped);
    }

    #[test]
    fn what_is_not_listed_is_judged_as_ever() {
        let broken = Judgement::Broken("broken".to_owned());
        assert_eq!(list().judge("other", broken.clone()), broken);
        assert_eq!(list().judge("other", Judgement::Holds), Judgement::Holds);
        assert!(Differences::parse("# none\n").unwrap().is_empty());
    }

    #[test]
    fn a_list_that_says_nothing_is_refused() {
        let table = [
            ("[m99_no_such]\nexpected = \"x\"\nreason = \"y\"\n".to_owned(), "m99_no_such"),
            (format!("[{NAME}]\nexpected = \"\"\nreason = \"y\"\n"), NAME),
            (format!("[{NAME}]\nexpected = \"x\"\n"), "reason"),
            (format!("[{NAME}]\nexpected = \"x\"\nreason = \"y\"\nskip = true\n"), "skip"),
        ];
        for (text, words) in table {
            let error = Differences::parse(&text).unwrap_err();
            assert!(error.to_string().contains(words), "{error} does not say {words}");
        }
    }
}
