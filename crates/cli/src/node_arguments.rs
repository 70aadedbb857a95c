//! Options that `run` and `create` share.

use std::env::{self, VarError};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use openlattice::{Env, Gpu, NetworkPolicy, PortSpec, ProvisionSpec, SecretSource, VolumeMount};

use crate::failure::{Failure, Result};
use crate::value;

/// What a new node is made of.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// Image: `host` (this machine's /usr), a name such as python:3.12-slim (pulled when the store has none), or the id
    /// that `snapshot` printed
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    #[command(flatten)]
    variables: Variables,
    /// Working directory, absolute; made when missing
    #[arg(short = 'w', long, value_name = "DIR")]
    workdir: Option<String>,
    /// GPUs, such as T4 or A100:2; types after a comma are taken when the first is not to be had
    #[arg(long, value_name = "TYPE[:N][,TYPE...]", value_parser = value::gpu)]
    gpu: Option<Gpu>,
    /// Bound on memory and swap together, such as 512m or 2g
    #[arg(long, value_name = "BYTES", value_parser = value::bytes)]
    memory: Option<u64>,
    /// Bound on processor time, such as 1 or 0.5
    #[arg(long, value_name = "N", value_parser = value::milli_cpus)]
    cpus: Option<u32>,
    /// Bound on processes and threads
    #[arg(long, value_name = "N")]
    pids: Option<u32>,
    /// Volume that appears at an absolute path, made when missing; may be given several times
    #[arg(short = 'v', long = "volume", value_name = "NAME:/PATH[:ro]", value_parser = value::volume)]
    volumes: Vec<VolumeMount>,
    /// What the node reaches [default: the provider's, see `capabilities`]
    #[arg(long, value_enum)]
    network: Option<NetworkArgument>,
    /// Publish a port of the node as plain TCP on this machine's 127.0.0.1, at HOSTPORT or a free port; `port` tells where
    #[arg(short = 'p', long = "publish", value_name = "PORT[:HOSTPORT]", value_parser = value::port)]
    publish: Vec<PortSpec>,
    /// Tag by which `ps --tag` finds it; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = value::tag)]
    tags: Vec<(String, String)>,
}

/// What `--network` takes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkArgument {
    /// Nothing but its own loopback
    None,
    /// Everything outside, where the provider offers it
    Open,
}

/// Environment variables and secrets.
#[derive(Debug, Default, Args)]
pub(crate) struct Variables {
    /// Variable; with a name alone its value comes from our environment and never shows in a process list
    #[arg(short = 'e', long = "env", value_name = "K=V | K")]
    env: Vec<String>,
    /// File of variables, one K=V or K a line; `#` starts a comment line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Secret that the provider stores, whose variables are added; may be given several times
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
}

impl NodeArguments {
    /// The spec without life time, owner and initial command, which the commands decide.
    pub(crate) fn spec(&self) -> Result<ProvisionSpec> {
        let mut spec = ProvisionSpec::default();
        spec.runtime.image.clone_from(&self.image);
        spec.runtime.workdir.clone_from(&self.workdir);
        spec.env = self.variables.env()?;
        spec.secrets = self.variables.secrets();
        spec.tags = value::distinct(&self.tags)?;
        spec.gpu.clone_from(&self.gpu);
        spec.resources.memory_limit_bytes = self.memory;
        spec.resources.cpu_limit_millis = self.cpus;
        spec.resources.pids_limit = self.pids;
        spec.volumes.clone_from(&self.volumes);
        spec.network.policy = self.network.map(|network| match network {
            NetworkArgument::None => NetworkPolicy::Blocked,
            NetworkArgument::Open => NetworkPolicy::Open,
        });
        spec.network.ports.clone_from(&self.publish);
        Ok(spec)
    }
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
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::from_io(&format!("read {}", path.display()), error))?;
            let lines = text.lines().map(str::trim_start).zip(1..);
            for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
                // A line without a name may be the rest of a value: it is not quoted.
                set(&mut env, line, &format!("of line {number} of {}", path.display()))?;
            }
        }
        for variable in &self.env {
            set(&mut env, variable, variable)?;
        }
        Ok(env)
    }
}

/// Sets a variable; a complaint calls it `what`.
fn set(env: &mut Env, variable: &str, what: &str) -> Result<()> {
    if let Some((name, value)) = variable.split_once('=') {
        env.set(name, value.to_owned());
        return Ok(());
    }
    let problem = match env::var(variable) {
        Ok(value) => {
            env.set(variable, value);
            return Ok(());
        }
        Err(VarError::NotPresent) => "is not set",
        Err(VarError::NotUnicode(_)) => "is not UTF-8",
    };
    Err(Failure::invalid(format!(
        "the variable {what} {problem} in our environment\nhint: give its value as well, as in NAME=VALUE"
    )))
}

/// Whole seconds, rounded up, since a life of zero seconds is none.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_from_files_arguments_and_the_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# comment\nA=file\nB=x=y\n\nPATH\n").unwrap();
        let given = Variables {
            env: vec!["A=argument".to_owned()],
            env_file: vec![file.path().to_owned()],
            secrets: Vec::new(),
        };
        let env = given.env().unwrap();
        assert_eq!((env.get("A"), env.get("B")), (Some("argument"), Some("x=y")));
        assert_eq!(env.get("PATH"), env::var("PATH").ok().as_deref());
        let missing = Variables { env: vec!["NO_SUCH_VARIABLE_HERE".to_owned()], ..Variables::default() };
        assert!(missing.env().unwrap_err().to_string().contains("NO_SUCH_VARIABLE_HERE"));
        std::fs::write(file.path(), "KEY=-----BEGIN\nhush\n").unwrap();
        let broken = Variables { env_file: vec![file.path().to_owned()], ..Variables::default() };
        let error = broken.env().unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
