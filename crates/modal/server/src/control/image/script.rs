//! Follows the lines after `FROM`: what an image sets, and what is to be done in its files.

use super::{
    dockerfile::{ImageConfig, Line},
    words::words,
};
use std::collections::{BTreeMap, BTreeSet};

/// What runs a command in shell form, where no line sets another.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What a line asks for beside settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Run this.
    Run(Vec<String>),
    /// Write files of the build context, by their names there, to an absolute path; one that ends with `/` is a directory.
    Copy {
        /// Names without leading `/` or `./`.
        sources: Vec<String>,
        /// Where to.
        target: String,
    },
    /// Make this directory, absolute.
    Directory(String),
    /// Be this user from now on.
    User,
}

impl Action {
    /// Whether it needs a sandbox: a directory alone is made by whatever runs in it.
    pub(super) fn needs_files(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Directory(_))
    }
}

/// The state of a build between two lines.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) config: ImageConfig,
    /// Set by a `USER` line.
    pub(super) user: Option<String>,
    /// Variables and directory of the image below.
    outer: Vec<(String, String)>,
    outer_workdir: Option<String>,
    given: BTreeMap<String, String>,
    used: BTreeSet<String>,
    arguments: Vec<(String, String)>,
}

impl Script {
    /// Starts on an image that sets `outer`, with `config` on top, and with build arguments.
    pub(super) fn new(
        config: ImageConfig,
        outer: Vec<(String, String)>,
        outer_workdir: Option<String>,
        given: BTreeMap<String, String>,
    ) -> Self {
        Self { config, user: None, outer, outer_workdir, given, used: BTreeSet::new(), arguments: Vec::new() }
    }

    /// Follows one line; what it cannot follow it refuses by name.
    pub(super) fn follow(&mut self, line: &Line) -> Result<Action, String> {
        let rest = line.rest.as_str();
        match line.instruction.as_str() {
            "ENV" => self.follow_env(rest)?,
            "WORKDIR" => return self.follow_workdir(rest),
            "CMD" => self.config.cmd = Some(self.command(rest)?),
            "ENTRYPOINT" => {
                self.config.entrypoint = Some(self.command(rest)?);
                self.config.cmd = None;
            }
            "ARG" => self.follow_argument(rest)?,
            "USER" => return self.follow_user(rest),
            "SHELL" => {
                self.config.shell =
                    Some(json(rest).filter(|words| !words.is_empty()).ok_or("SHELL needs a JSON array")?);
            }
            "RUN" => return self.run(rest),
            "COPY" => return self.copy(rest),
            other => {
                return Err(format!("{other} lines are not supported by this server; leave the line out"));
            }
        }
        Ok(Action::Nothing)
    }

    /// A build argument that no `ARG` line has taken.
    pub(super) fn unused(&self) -> Option<&str> {
        self.given.keys().map(String::as_str).find(|name| !self.used.contains(*name))
    }

    /// Variables of a command, beside those of the image below: arguments, unless a variable has their name, then variables.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        let is_set =
            |name: &String| self.config.env.iter().chain(&self.outer).any(|(known, _)| known == name);
        let arguments = self.arguments.iter().filter(|(name, _)| !is_set(name));
        arguments.chain(&self.config.env).cloned().collect()
    }

    fn workdir(&self) -> &str {
        self.config.workdir.as_deref().or(self.outer_workdir.as_deref()).unwrap_or("/")
    }

    fn lookup(&self, name: &str) -> String {
        let known = self.arguments.iter().chain(&self.outer).chain(&self.config.env).rev();
        known.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn words(&self, text: &str) -> Result<Vec<String>, String> {
        words(text, &|name| self.lookup(name))
    }

    fn follow_env(&mut self, rest: &str) -> Result<(), String> {
        let first = rest.split_whitespace().next().unwrap_or_default();
        let pairs = if first.contains('=') {
            // All values see the variables from before the line, as Docker defines it.
            let pair = |word: String| match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(format!("{word:?} is not NAME=VALUE")),
            };
            self.words(rest)?.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?
        } else {
            // The old form: one name, the rest of the line is its value.
            let (name, value) = rest.split_once(char::is_whitespace).ok_or("ENV needs NAME=VALUE")?;
            let value = self.words(&format!("\"{}\"", value.trim().replace('"', "\\\"")))?;
            vec![(name.to_owned(), value.concat())]
        };
        for (name, value) in pairs {
            self.config.set_env(name, value);
        }
        Ok(())
    }

    fn follow_workdir(&mut self, rest: &str) -> Result<Action, String> {
        let path = self.words(rest)?.join(" ");
        if path.is_empty() {
            return Err("WORKDIR needs a path".to_owned());
        }
        let path = self.absolute(&path);
        self.config.workdir = Some(path.clone());
        Ok(Action::Directory(path))
    }

    fn absolute(&self, path: &str) -> String {
        let below = self.workdir().trim_end_matches('/');
        if path.starts_with('/') { path.to_owned() } else { format!("{below}/{path}") }
    }

    /// `NAME` or `NAME=DEFAULT`; a value that was given wins.
    fn follow_argument(&mut self, rest: &str) -> Result<(), String> {
        for word in self.words(rest)? {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                None => (word, None),
            };
            if name.is_empty() {
                return Err("ARG needs NAME or NAME=DEFAULT".to_owned());
            }
            if let Some(value) = self.given.get(&name).cloned().or(default) {
                self.arguments.push((name.clone(), value));
            }
            self.used.insert(name);
        }
        Ok(())
    }

    fn follow_user(&mut self, rest: &str) -> Result<Action, String> {
        match self.words(rest)?.as_slice() {
            [user] if !user.is_empty() => self.user = Some(user.clone()),
            _ => return Err("USER needs one name or id, with or without :GROUP".to_owned()),
        }
        Ok(Action::User)
    }

    fn run(&self, rest: &str) -> Result<Action, String> {
        if rest.starts_with("--") || rest.starts_with("<<") {
            let what = rest.split(['=', ' ']).next().unwrap_or_default();
            return Err(format!("RUN {what} is not supported by this server; leave it out"));
        }
        match self.command(rest)? {
            words if words.is_empty() => Err("RUN needs a command".to_owned()),
            words => Ok(Action::Run(words)),
        }
    }

    fn copy(&self, rest: &str) -> Result<Action, String> {
        if rest.starts_with("--") || rest.starts_with("<<") {
            let what = rest.split(['=', ' ']).next().unwrap_or_default();
            return Err(format!("COPY {what} is not supported by this server; leave it out"));
        }
        let mut words = json(rest).map_or_else(|| self.words(rest), Ok)?;
        let target = words.pop().filter(|_| !words.is_empty()).ok_or("COPY needs a source and a target")?;
        let target = self.absolute(&target);
        if words.len() > 1 && !target.ends_with('/') {
            return Err("COPY of several files needs a target that ends with '/'".to_owned());
        }
        let sources = words.iter().map(|name| context_name(name).to_owned()).collect();
        Ok(Action::Copy { sources, target })
    }

    /// The JSON form, or the form that a shell runs.
    fn command(&self, rest: &str) -> Result<Vec<String>, String> {
        if rest.starts_with('[') {
            return json(rest).ok_or_else(|| format!("{rest} is not a JSON array of strings"));
        }
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        let shell = self.config.shell.clone().unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
        Ok(shell.into_iter().chain([rest.to_owned()]).collect())
    }
}

/// A JSON array of strings.
fn json(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// The name of a file of the context, as clients and lines write it.
pub(super) fn context_name(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::{super::dockerfile::lines, *};

    fn follow(text: &str, given: &[(&str, &str)]) -> Result<(Script, Vec<Action>), String> {
        let mut script = Script::new(
            ImageConfig::default(),
            pairs(&[("PATH", "/bin")]),
            None,
            pairs(given).into_iter().collect(),
        );
        let actions =
            lines(&[text.to_owned()]).iter().map(|line| script.follow(line)).collect::<Result<_, _>>()?;
        Ok((script, actions))
    }

    fn after(text: &str) -> Result<ImageConfig, String> {
        follow(text, &[]).map(|(script, _)| script.config)
    }

    fn env(text: &str) -> Vec<(String, String)> {
        after(text).unwrap().env
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn run(words: &[&str]) -> Action {
        Action::Run(words.iter().map(|word| (*word).to_owned()).collect())
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
        let table = [
            ("ADD a b", "ADD"),
            ("RUN --mount=type=cache,target=/x true", "--mount"),
            ("RUN <<EOF", "<<EOF"),
            ("COPY --from=other /a /b", "--from"),
            ("HEALTHCHECK NONE", "HEALTHCHECK"),
            ("ENV A=${B:-c}", "${NAME}"),
            ("ENV A='x", "quote"),
            ("COPY a b c", "ends with '/'"),
        ];
        for (line, words) in table {
            let error = follow(line, &[]).err().unwrap_or_default();
            assert!(error.contains(words), "{line}: {error:?} does not say {words}");
        }
        for line in [
            "ENV", "CMD [1]", "RUN", "RUN []", "COPY a", "USER", "USER a b", "SHELL sh", "SHELL []", "ARG =1",
        ] {
            assert!(follow(line, &[]).is_err(), "{line} was taken");
        }
    }

    #[test]
    fn commands_of_a_build_in_both_forms() {
        let (_, actions) =
            follow("RUN echo $A\nRUN [\"a\", \"$A\"]\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN x", &[]).unwrap();
        let wanted = [
            run(&["/bin/sh", "-c", "echo $A"]),
            run(&["a", "$A"]),
            Action::Nothing,
            run(&["/bin/bash", "-ec", "x"]),
        ];
        assert_eq!(actions, wanted);
    }

    #[test]
    fn arguments_are_seen_until_a_variable_has_their_name() {
        let text = "ARG A=1\nARG B\nARG PATH=/x\nENV C=$A$B";
        let (script, _) = follow(text, &[("B", "2"), ("D", "3")]).unwrap();
        assert_eq!(script.env(), pairs(&[("A", "1"), ("B", "2"), ("C", "12")]));
        assert_eq!(script.config.env, pairs(&[("C", "12")]));
        assert_eq!(script.unused(), Some("D"));
        assert_eq!(follow(text, &[("B", "2")]).unwrap().0.unused(), None);
    }

    #[test]
    fn users_and_files() {
        let (script, actions) =
            follow("WORKDIR /w\nUSER 1000:5\nCOPY ./a b\nCOPY [\"/a\", \"b\", \"/x y/\"]", &[]).unwrap();
        assert_eq!(script.user.as_deref(), Some("1000:5"));
        let copy = |sources: &[&str], target: &str| Action::Copy {
            sources: sources.iter().map(|name| (*name).to_owned()).collect(),
            target: target.to_owned(),
        };
        let wanted = [
            Action::Directory("/w".to_owned()),
            Action::User,
            copy(&["a"], "/w/b"),
            copy(&["a", "b"], "/x y/"),
        ];
        assert_eq!(actions, wanted);
        let needs: Vec<bool> = actions.iter().map(Action::needs_files).collect();
        assert_eq!(needs, [false, true, true, true]);
    }
}
