//! Environment variables and secrets of a command or a sandbox.

use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use openlattice::{Env, SecretSource};

use crate::failure::{Failure, Result};

/// Environment variables and secrets.
#[derive(Debug, Default, Args)]
pub(crate) struct Variables {
    /// Set an environment variable; `-e NAME` passes the caller's value without showing it in process lists
    #[arg(short = 'e', long = "env", value_name = "K=V | K")]
    env: Vec<String>,
    /// File of variables, one K=V or K a line; `#` starts a comment line. Quotes are part of a value
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Secret that the provider stores, whose variables are added; may be given several times
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
}

impl Variables {
    /// The stored secrets.
    pub(crate) fn secrets(&self) -> Vec<SecretSource> {
        self.secrets.iter().cloned().map(SecretSource::Named).collect()
    }

    /// Files first, then `-e`, each over the one before.
    pub(crate) fn env(&self) -> Result<Env> {
        let mut env = Env::new();
        for path in &self.env_file {
            read(&mut env, path)?;
        }
        for variable in &self.env {
            set(&mut env, variable).map_err(|problem| problem.about(&format!("-e {variable:?}")))?;
        }
        Ok(env)
    }
}

/// Reads a file as `docker --env-file` does: blanks before a name do not count, nor do empty lines and those that start with `#`.
fn read(env: &mut Env, path: &Path) -> Result<()> {
    let bytes =
        fs::read(path).map_err(|error| Failure::from_io(&format!("read {}", path.display()), error))?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        // A line may be the rest of a secret value: it is not quoted.
        let place = || format!("line {number} of {}", path.display());
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|_| Problem::NotUtf8.about(&place()))?;
        set(env, line).map_err(|problem| problem.about(&place()))?;
    }
    Ok(())
}

/// What is wrong with a variable that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    NoName,
    Exported,
    Blanks,
    ZeroByte,
    NotSet,
    NotUtf8,
}

impl Problem {
    /// Says it of what was given at a place.
    fn about(self, place: &str) -> Failure {
        let (words, hint) = match self {
            Self::NoName => ("the variable has no name", "write NAME=VALUE"),
            Self::Exported => {
                ("a variable's name has no blanks", "write NAME=VALUE without `export`: no shell reads this")
            }
            Self::Blanks => {
                ("a variable's name has no blanks", "write NAME=VALUE, without blanks before the =")
            }
            Self::ZeroByte => ("a variable cannot hold a zero byte", "leave it out"),
            Self::NotSet => ("the variable is not set in the environment of lattice", "use NAME=VALUE"),
            Self::NotUtf8 => ("the variable is not UTF-8", "use -e or a file with text in UTF-8"),
        };
        Failure::invalid(format!("{place}: {words}\nhint: {hint}"))
    }
}

/// Sets `NAME=VALUE`, or `NAME` to its value in our environment.
fn set(env: &mut Env, variable: &str) -> std::result::Result<(), Problem> {
    let (name, value) =
        variable.split_once('=').map_or((variable, None), |(name, value)| (name, Some(value)));
    if name.is_empty() {
        return Err(Problem::NoName);
    }
    if name.contains(char::is_whitespace) {
        let exported = name.starts_with("export") && name["export".len()..].starts_with([' ', '\t']);
        return Err(if exported { Problem::Exported } else { Problem::Blanks });
    }
    if variable.contains('\0') {
        return Err(Problem::ZeroByte);
    }
    let value = match value {
        Some(value) => value.to_owned(),
        None => env::var(name).map_err(|error| match error {
            VarError::NotPresent => Problem::NotSet,
            VarError::NotUnicode(_) => Problem::NotUtf8,
        })?,
    };
    env.set(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(content: &[u8]) -> Result<Env> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        Variables { env_file: vec![file.path().to_owned()], ..Variables::default() }.env()
    }

    #[test]
    fn variables_come_from_files_arguments_and_the_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# comment\nA=file\nB=x=y\n\nPATH\n").unwrap();
        let given = Variables {
            env: vec!["A=argument".to_owned(), "EMPTY=".to_owned()],
            env_file: vec![file.path().to_owned()],
            secrets: Vec::new(),
        };
        let env = given.env().unwrap();
        assert_eq!((env.get("A"), env.get("B"), env.get("EMPTY")), (Some("argument"), Some("x=y"), Some("")));
        assert_eq!(env.get("PATH"), env::var("PATH").ok().as_deref());
    }

    #[test]
    fn a_file_is_read_as_docker_reads_it() {
        let env =
            of_file(b"\xef\xbb\xbfA=1\r\n  \t\r\n  # no = here\n \tB= 2 \nC=\"q\" 'r'\nD=a\rb").unwrap();
        let all: Vec<_> = env.iter().collect();
        assert_eq!(all, [("A", "1"), ("B", " 2 "), ("C", "\"q\" 'r'"), ("D", "a\rb")]);
    }

    #[test]
    fn names_that_no_shell_would_take_are_refused_by_line() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"OK=1\nexport hush=1\n", "line 2", "without `export`"),
            (b"OK=1\r\nexport\thush\r\n", "line 2", "without `export`"),
            (b"\n\nhush = 2\n", "line 3", "no blanks"),
            (b"hush here\n", "line 1", "no blanks"),
            (b"=hush\n", "line 1", "no name"),
            (b"A=1\n  =hush\n", "line 2", "no name"),
            (b"A=1\nhush=\xff\n", "line 2", "UTF-8"),
            (b"KEY=-----BEGIN\nhush\n", "line 2", "not set"),
        ];
        for (content, line, words) in cases {
            let error = of_file(content).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(words) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn arguments_are_refused_in_the_same_way() {
        for (given, words) in [
            ("A B=2", "no blanks"),
            ("export A=1", "without `export`"),
            ("=x", "no name"),
            ("", "no name"),
            ("NO_SUCH_VARIABLE_HERE", "not set"),
        ] {
            let variables = Variables { env: vec![given.to_owned()], ..Variables::default() };
            let error = variables.env().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(given), "{error}");
        }
    }
}
