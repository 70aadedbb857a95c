//! Dockerfile lines, and what an image sets beside its files.

use serde::{Deserialize, Serialize};

/// What an image sets beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    /// Variables, later ones win.
    #[serde(default)]
    pub(crate) env: Vec<(String, String)>,
    /// Absolute working directory.
    #[serde(default)]
    pub(crate) workdir: Option<String>,
    /// Set by an `ENTRYPOINT` line; an empty one clears.
    #[serde(default)]
    pub(crate) entrypoint: Option<Vec<String>>,
    /// Set by a `CMD` line.
    #[serde(default)]
    pub(crate) cmd: Option<Vec<String>>,
    /// Set by a `SHELL` line: what shell forms are appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shell: Option<Vec<String>>,
}

impl ImageConfig {
    /// The command that is set, where no entry point comes before it and before what a sandbox asks for; an empty one is none.
    pub(crate) fn sole_command(&self) -> Option<&[String]> {
        match (&self.entrypoint, &self.cmd) {
            (None, None) => None,
            (Some(entrypoint), _) if !entrypoint.is_empty() => None,
            (_, command) => Some(command.as_deref().unwrap_or_default()),
        }
    }

    pub(super) fn set_env(&mut self, name: String, value: String) {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value));
    }
}

/// One line that can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1 in the whole file.
    pub(super) number: usize,
    /// Upper-case instruction.
    pub(super) instruction: String,
    /// The rest.
    pub(super) rest: String,
}

/// Splits lines into instructions: continuations joined, comments and empty lines left out.
pub(super) fn lines(commands: &[String]) -> Vec<Line> {
    let text = commands.join("\n");
    let mut found = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && pending.is_none()) {
            continue;
        }
        let (number, mut joined) = pending.take().unwrap_or((index + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                joined.push_str(part);
                pending = Some((number, joined));
            }
            None => {
                joined.push_str(line);
                found.push(split(number, &joined));
            }
        }
    }
    found.extend(pending.map(|(number, joined)| split(number, &joined)));
    found
}

fn split(number: usize, text: &str) -> Line {
    let (instruction, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    Line { number, instruction: instruction.to_ascii_uppercase(), rest: rest.trim().to_owned() }
}

/// The image name of a `FROM` line; a stage name after `AS` is accepted, options are not.
pub(super) fn from_name(line: &Line) -> Result<&str, String> {
    let words: Vec<&str> = line.rest.split_whitespace().collect();
    match words.as_slice() {
        [name] if !name.starts_with("--") => Ok(name),
        [name, keyword, _stage] if !name.starts_with("--") && keyword.eq_ignore_ascii_case("as") => Ok(name),
        _ => Err("only \"FROM NAME\" is understood".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_continuations() {
        let found =
            lines(&["# x".into(), "FROM a \\".into(), "  AS b".into(), String::new(), "env A=1".into()]);
        assert_eq!(found[0], Line { number: 2, instruction: "FROM".into(), rest: "a AS b".into() });
        assert_eq!(found[1], Line { number: 5, instruction: "ENV".into(), rest: "A=1".into() });
        assert_eq!(from_name(&found[0]).unwrap(), "a");
    }

    #[test]
    fn from_options_are_refused() {
        let line = split(1, "FROM --platform=x a");
        assert!(from_name(&line).is_err());
    }
}
