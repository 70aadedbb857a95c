//! Commands asked for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::read_hidden;
use crate::{Env, Error, ExecId, Result, SecretSource, Stdin};

/// Sizes a pseudo terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PtySize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

impl PtySize {
    /// Refuses a size without lines or columns.
    ///
    /// # Errors
    /// `InvalidArgument`, with the operation and the field given.
    pub fn check(self, operation: &'static str, field: &str) -> Result<()> {
        let Self { rows, cols } = self;
        if rows == 0 || cols == 0 {
            let what = format_args!("is {rows} x {cols}, which shows nothing");
            return Err(Error::invalid(operation, field, what));
        }
        Ok(())
    }
}

/// Says what becomes of a command when its future or session is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDrop {
    /// It runs on; [`ComputeProvider::attach`](crate::ComputeProvider::attach) finds it again.
    #[default]
    Detach,
    /// It is killed, also where `exec` itself was dropped before it answered.
    Kill,
}

/// Says how a command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExecOptions {
    /// The working directory, absolute; without it the sandbox's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables for this command only, on top of the sandbox's.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
    /// Milliseconds after which the command is killed; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Secret variables for this command only.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "read_hidden")]
    pub secrets: Vec<SecretSource>,
    /// What it reads.
    #[serde(deserialize_with = "read_hidden")]
    pub stdin: Stdin,
    /// The size of its terminal; without it the command has none, and two streams of output.
    ///
    /// With it all three standard streams are the terminal, which is the command's controlling one: all output is on
    /// [`OutputStream::Stdout`](crate::OutputStream::Stdout), input is what is typed, control characters included, and the end of
    /// input is typed as the end-of-file character, which only a program that reads lines takes for an end. `TERM` is
    /// `xterm-256color` unless a variable says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pty: Option<PtySize>,
    /// The caller's id for the command; starting the same id again attaches instead of running twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_id: Option<ExecId>,
    /// What becomes of it when the caller goes away.
    pub on_drop: OnDrop,
}

impl ExecOptions {
    /// Returns the timeout as a duration.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

/// Asks for a command: an argument vector, never a shell's line.
///
/// Debug shows the program and the number of arguments, since arguments may hold what a log must not.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecSpec {
    /// The program, then its arguments. A program without a slash is looked up in the sandbox's `PATH`.
    pub argv: Vec<String>,
    /// How it runs.
    #[serde(default)]
    pub options: ExecOptions,
}

impl ExecSpec {
    /// Asks for a command with default options.
    pub fn new<A: Into<String>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), options: ExecOptions::default() }
    }

    /// Asks for `/bin/sh -c script`: the one way in which a shell runs is that the caller asks for it.
    pub fn shell(script: impl Into<String>) -> Self {
        Self::new(["/bin/sh".to_owned(), "-c".to_owned(), script.into()])
    }

    /// Sets the working directory.
    #[must_use]
    pub fn with_cwd(mut self, cwd: impl Into<String>) -> Self {
        self.options.cwd = Some(cwd.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.env.set(name, value.into());
        self
    }

    /// Sets the timeout, rounded up to whole milliseconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        self.options.timeout_ms = Some(u64::try_from(millis).unwrap_or(u64::MAX));
        self
    }

    /// Sets what it reads.
    #[must_use]
    pub fn with_stdin(mut self, stdin: Stdin) -> Self {
        self.options.stdin = stdin;
        self
    }

    /// Gives it a terminal.
    #[must_use]
    pub fn with_pty(mut self, size: PtySize) -> Self {
        self.options.pty = Some(size);
        self
    }

    /// Sets the caller's id for it.
    #[must_use]
    pub fn with_exec_id(mut self, id: impl Into<ExecId>) -> Self {
        self.options.exec_id = Some(id.into());
        self
    }

    /// Sets what becomes of it when the caller goes away.
    #[must_use]
    pub fn with_on_drop(mut self, on_drop: OnDrop) -> Self {
        self.options.on_drop = on_drop;
        self
    }

    /// Checks what is malformed whoever serves it.
    ///
    /// # Errors
    /// `InvalidArgument`, with the field's name: an empty vector or program, a zero byte, a relative `cwd`, a timeout of
    /// zero, a variable's name that is empty or holds `=`.
    pub fn validate(&self) -> Result<()> {
        const WHERE: &str = "exec";
        check_argv(WHERE, "argv", &self.argv)?;
        check_directory(WHERE, "options.cwd", self.options.cwd.as_deref())?;
        check_env(WHERE, "options.env", &self.options.env)?;
        check_secrets(WHERE, "options.secrets", &self.options.secrets)?;
        if self.options.timeout_ms == Some(0) {
            return Err(Error::invalid(WHERE, "options.timeoutMs", "is 0, which no command can meet"));
        }
        self.options.pty.map_or(Ok(()), |size| size.check(WHERE, "options.pty"))
    }
}

impl fmt::Debug for ExecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecSpec")
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("options", &self.options)
            .finish()
    }
}

/// Refuses an argument vector that no kernel would run.
pub(crate) fn check_argv(operation: &'static str, field: &str, argv: &[String]) -> Result<()> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(Error::invalid(operation, field, "names no program"));
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(Error::invalid(operation, field, "holds a zero byte"));
    }
    Ok(())
}

/// Refuses a directory that is not absolute.
pub(crate) fn check_directory(operation: &'static str, field: &str, path: Option<&str>) -> Result<()> {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(Error::invalid(operation, field, format_args!("{path:?} is not an absolute path")))
        }
        Some(path) if path.contains('\0') => Err(Error::invalid(operation, field, "holds a zero byte")),
        _ => Ok(()),
    }
}

/// Refuses variables that no environment can hold; values are not quoted.
pub(crate) fn check_env(operation: &'static str, field: &str, env: &Env) -> Result<()> {
    for (name, value) in env.iter() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(operation, field, format_args!("has a variable named {name:?}")));
        }
        if value.contains('\0') {
            return Err(Error::invalid(operation, field, format_args!("holds a zero byte in {name}")));
        }
    }
    Ok(())
}

/// Refuses secrets that no environment can hold.
pub(crate) fn check_secrets(operation: &'static str, field: &str, secrets: &[SecretSource]) -> Result<()> {
    for source in secrets {
        match source {
            SecretSource::Named(name) if name.is_empty() => {
                return Err(Error::invalid(operation, field, "holds an empty name"));
            }
            SecretSource::Named(_) => {}
            SecretSource::Values(env) => check_env(operation, field, env)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_the_known_json_shape() {
        let json = r#"{"cwd":"/tmp","env":{"A":"1"},"timeoutMs":1500}"#;
        let options: ExecOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.timeout(), Some(Duration::from_millis(1500)));
        let error = serde_json::from_str::<ExecOptions>(r#"{"timeout":1}"#).unwrap_err().to_string();
        assert!(error.contains("`timeout`"), "{error}");
        for json in [r#"{"stdin":"hush"}"#, r#"{"stdin":{"text":"hush"}}"#, r#"{"secrets":["hush"]}"#] {
            let error = serde_json::from_str::<ExecOptions>(json).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn malformed_fields_are_refused_by_name() {
        let cases = [
            (ExecSpec::new(Vec::<String>::new()), "argv"),
            (ExecSpec::new(["a\0b"]), "argv"),
            (ExecSpec::new(["true"]).with_cwd("tmp"), "options.cwd"),
            (ExecSpec::new(["true"]).with_env("A=B", "hush"), "options.env"),
            (ExecSpec::new(["true"]).with_timeout(Duration::ZERO), "options.timeoutMs"),
            (ExecSpec::new(["true"]).with_pty(PtySize { rows: 24, cols: 0 }), "options.pty"),
        ];
        for (spec, field) in cases {
            let error = spec.validate().unwrap_err();
            assert_eq!(error.field(), Some(field));
            assert!(!format!("{error:?}").contains("hush"));
        }
    }

    #[test]
    fn g8_debug_hides_arguments_and_values() {
        let spec = ExecSpec::new(["login", "hush"]).with_env("TOKEN", "hush");
        assert!(!format!("{spec:?}").contains("hush"));
    }
}
