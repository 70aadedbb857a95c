//! The Dockerfile lines that need no execution: `FROM`, `ENV`, `WORKDIR`, `CMD`, `ENTRYPOINT`.

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
}

impl ImageConfig {
    fn set_env(&mut self, name: String, value: String) {
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

/// Follows a line after `FROM`. `outer` are the variables of the image below, for `$NAME`.
pub(super) fn follow(
    config: &mut ImageConfig,
    line: &Line,
    outer: &[(String, String)],
) -> Result<(), String> {
    match line.instruction.as_str() {
        "ENV" => follow_env(config, &line.rest, outer),
        "WORKDIR" => follow_workdir(config, &line.rest, outer),
        "CMD" => {
            config.cmd = Some(command(&line.rest)?);
            Ok(())
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(&line.rest)?);
            config.cmd = None;
            Ok(())
        }
        other => Err(format!("{other} needs a build executor, which this server does not have yet")),
    }
}

fn follow_env(config: &mut ImageConfig, rest: &str, outer: &[(String, String)]) -> Result<(), String> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    let pairs = if first.contains('=') {
        // All values see the variables from before the line, as Docker defines it.
        let words = words(rest, &|name| lookup(config, outer, name))?;
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(format!("{word:?} is not NAME=VALUE")),
        };
        words.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?
    } else {
        // The old form: one name, the rest of the line is its value.
        let (name, value) = rest.split_once(char::is_whitespace).ok_or("ENV needs NAME=VALUE")?;
        let value = words(&format!("\"{}\"", value.trim().replace('"', "\\\"")), &|name| {
            lookup(config, outer, name)
        })?;
        vec![(name.to_owned(), value.concat())]
    };
    for (name, value) in pairs {
        config.set_env(name, value);
    }
    Ok(())
}

fn follow_workdir(config: &mut ImageConfig, rest: &str, outer: &[(String, String)]) -> Result<(), String> {
    let path = words(rest, &|name| lookup(config, outer, name))?.join(" ");
    if path.is_empty() {
        return Err("WORKDIR needs a path".to_owned());
    }
    let below = config.workdir.as_deref().unwrap_or("/").trim_end_matches('/');
    config.workdir = Some(if path.starts_with('/') { path } else { format!("{below}/{path}") });
    Ok(())
}

fn lookup(config: &ImageConfig, outer: &[(String, String)], name: &str) -> String {
    let known = outer.iter().chain(&config.env).rev().find(|(known, _)| known == name);
    known.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// The JSON form, or the form that a shell runs.
fn command(rest: &str) -> Result<Vec<String>, String> {
    if rest.starts_with('[') {
        return serde_json::from_str(rest).map_err(|_| format!("{rest} is not a JSON array of strings"));
    }
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()])
}

/// Splits into words as Docker does: quotes, backslashes, `$NAME` and `${NAME}` outside single quotes.
fn words(text: &str, variable: &dyn Fn(&str) -> String) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match (quote, next) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (None, space) if space.is_whitespace() => found.extend(word.take()),
            (None | Some('"'), '\\') => {
                let escaped = rest.next().unwrap_or('\\');
                let word = word.get_or_insert_default();
                // Inside double quotes a backslash stays before what it need not escape.
                if quote.is_some() && !matches!(escaped, '"' | '\\' | '$') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            (None | Some('"'), '$') => {
                let value = expand(&mut rest, variable)?;
                word.get_or_insert_default().push_str(&value);
            }
            _ => word.get_or_insert_default().push(next),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    found.extend(word);
    Ok(found)
}

/// What follows a `$`.
fn expand(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    variable: &dyn Fn(&str) -> String,
) -> Result<String, String> {
    let braced = rest.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    if braced && rest.next() != Some('}') {
        return Err("only $NAME and ${NAME} are understood".to_owned());
    }
    Ok(if name.is_empty() { "$".to_owned() } else { variable(&name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Result<ImageConfig, String> {
        let outer = [("PATH".to_owned(), "/bin".to_owned())];
        let mut config = ImageConfig::default();
        for line in lines(&[text.to_owned()]) {
            follow(&mut config, &line, &outer)?;
        }
        Ok(config)
    }

    fn env(text: &str) -> Vec<(String, String)> {
        after(text).unwrap().env
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_in_all_their_forms() {
        assert_eq!(
            env("ENV A=1 B=\"x y\" C='$A' D=a\\ b"),
            pairs(&[("A", "1"), ("B", "x y"), ("C", "$A"), ("D", "a b")])
        );
        assert_eq!(env("ENV A it is \"so\""), pairs(&[("A", "it is \"so\"")]));
        assert_eq!(env("ENV PATH=/x:$PATH\nENV PATH=/y:${PATH}"), pairs(&[("PATH", "/y:/x:/bin")]));
        // What a client's shell quoting makes of "it's".
        assert_eq!(env(r#"ENV A='it'"'"'s'"#), pairs(&[("A", "it's")]));
        assert_eq!(env("ENV A=''"), pairs(&[("A", "")]));
    }

    #[test]
    fn a_line_sees_the_variables_from_before_it() {
        assert_eq!(env("ENV A=1\nENV A=2 B=$A"), pairs(&[("A", "2"), ("B", "1")]));
    }

    #[test]
    fn working_directories_join() {
        assert_eq!(after("WORKDIR /a\nWORKDIR b").unwrap().workdir.as_deref(), Some("/a/b"));
        assert_eq!(after("WORKDIR b").unwrap().workdir.as_deref(), Some("/b"));
    }

    #[test]
    fn commands_in_both_forms() {
        let config = after("ENTRYPOINT [\"a\", \"b\"]\nCMD echo $HOME").unwrap();
        assert_eq!(config.entrypoint.unwrap(), ["a", "b"]);
        assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo $HOME"]);
        assert_eq!(after("ENTRYPOINT []").unwrap().entrypoint.unwrap(), Vec::<String>::new());
    }

    #[test]
    fn other_lines_are_refused_by_name() {
        assert!(after("RUN true").unwrap_err().contains("RUN"));
        assert!(after("ENV A=${B:-c}").unwrap_err().contains("${NAME}"));
        assert!(after("ENV A='x").unwrap_err().contains("quote"));
        assert!(after("ENV").is_err() && after("CMD [1]").is_err());
    }

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
