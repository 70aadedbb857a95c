//! Sandboxes asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::exec::{check_argv, check_directory, check_env, check_secrets};
use crate::secret::{read_hidden, without_values};
use crate::{
    Env, Error, ErrorKind, Gpu, Lifetime, NetworkPolicy, NetworkSpec, Placement, PortKind, Resources, Result,
    Secret, SecretSource, VolumeMount,
};

/// Opens a registry that is not public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryCredentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

/// Says what runs in a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Runtime {
    /// The image: an OCI reference such as `python:3.12-slim`, or a name that the provider knows. Without one the
    /// provider's default (in `restore`, the snapshot).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A command that is run once inside the new sandbox before provision answers; its failure fails provision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The main process: started before provision answers and not waited for. The sandbox ends when it does, with its exit
    /// status. Empty for none: the sandbox runs until something else ends it. The image's own command never runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub main: Vec<String>,
    /// The absolute working directory of all commands; without one the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Credentials for the image's registry.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "read_hidden")]
    pub registry: Option<RegistryCredentials>,
}

/// Says whom a sandbox belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attachment {
    /// Nobody: it ends by `destroy` or its life time.
    #[default]
    Detached,
    /// The calling process: `gc` ends it once that process is gone.
    Bound,
}

/// Says when a sandbox counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Readiness {
    /// When this port accepts a connection.
    TcpPort(u16),
    /// When this command exits with zero.
    Command(Vec<String>),
}

/// Asks for a sandbox.
///
/// In JSON the names are camel case (`runtime.image`, `duration.maxSeconds`, `network.tailscaleAuthKey`), an unknown field
/// is refused by name, and a field that is left out is left to the provider. A provider refuses what it cannot honour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProvisionSpec {
    /// What runs in it.
    pub runtime: Runtime,
    /// The GPUs it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// How much it may use.
    pub resources: Resources,
    /// How long it lives.
    pub duration: Lifetime,
    /// What it can reach, and how it is reached.
    pub network: NetworkSpec,
    /// Where it runs.
    pub placement: Placement,
    /// Variables of all its commands.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
    /// Secret variables of all its commands.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "read_hidden")]
    pub secrets: Vec<SecretSource>,
    /// Stored volumes that appear in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeMount>,
    /// When it counts as ready; waited for after the initial command, which may start what is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// A name, unique among the running sandboxes of the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels for `list`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The caller's key: repeating a provision with the same key and spec gives the same sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whom it belongs to.
    pub attachment: Attachment,
}

impl ProvisionSpec {
    /// Asks for a sandbox of an image.
    pub fn new(image: impl Into<String>) -> Self {
        Self { runtime: Runtime { image: Some(image.into()), ..Runtime::default() }, ..Self::default() }
    }

    /// Reads a spec from JSON.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the unknown field or the place of the malformed one; values are not quoted.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| {
            let document = serde_json::from_str(json).unwrap_or_default();
            let message = without_values(error.to_string(), &document);
            Error::new(ErrorKind::InvalidArgument, "read spec", message)
        })
    }

    /// Returns the text that two provisions with the same key must share: all fields but `key` and `attachment`.
    ///
    /// It holds the spec's secrets, hence its type; providers keep a digest of it.
    pub fn canonical(&self) -> Secret {
        let same = Self { key: None, attachment: Attachment::default(), ..self.clone() };
        let text = serde_json::to_string(&same).expect("maps with string keys always serialise");
        Secret::new(text)
    }

    /// Sets a variable of all commands.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.set(name, value.into());
        self
    }

    /// Sets the working directory of all commands.
    #[must_use]
    pub fn with_workdir(mut self, workdir: impl Into<String>) -> Self {
        self.runtime.workdir = Some(workdir.into());
        self
    }

    /// Sets the initial command.
    #[must_use]
    pub fn with_command<A: Into<String>>(mut self, argv: impl IntoIterator<Item = A>) -> Self {
        self.runtime.command = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the main process, with whose end the sandbox ends.
    #[must_use]
    pub fn with_main<A: Into<String>>(mut self, argv: impl IntoIterator<Item = A>) -> Self {
        self.runtime.main = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the longest life in seconds.
    #[must_use]
    pub fn with_max_seconds(mut self, seconds: u64) -> Self {
        self.duration.max_seconds = Some(seconds);
        self
    }

    /// Sets what it can reach.
    #[must_use]
    pub fn with_network(mut self, policy: NetworkPolicy) -> Self {
        self.network.policy = Some(policy);
        self
    }

    /// Sets the caller's key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn with_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// Checks what is malformed whoever serves it.
    ///
    /// # Errors
    /// `InvalidArgument`, with the field's name: zero or contradictory amounts, relative paths, variables that no environment
    /// can hold, empty names, a port of zero or named twice.
    pub fn validate(&self) -> Result<()> {
        const WHERE: &str = "provision";
        for (field, argv) in
            [("runtime.command", &self.runtime.command), ("runtime.main", &self.runtime.main)]
        {
            if !argv.is_empty() {
                check_argv(WHERE, field, argv)?;
            }
        }
        check_directory(WHERE, "runtime.workdir", self.runtime.workdir.as_deref())?;
        check_env(WHERE, "env", &self.env)?;
        check_secrets(WHERE, "secrets", &self.secrets)?;
        self.check_volumes()?;
        if let Some(Readiness::Command(argv)) = &self.readiness {
            check_argv(WHERE, "readiness.command", argv)?;
        }
        if let Some(policy) = &self.network.policy {
            policy.validate(WHERE)?;
        }
        self.check_texts()?;
        self.check_amounts()?;
        self.check_ports()
    }

    fn check_volumes(&self) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for volume in &self.volumes {
            check_directory("provision", "volumes.path", Some(&volume.path))?;
            if volume.name.is_empty() {
                return Err(Error::invalid("provision", "volumes.name", "is empty"));
            }
            if !seen.insert(volume.path.trim_end_matches('/')) {
                let message = format_args!("names {:?} twice", volume.path);
                return Err(Error::invalid("provision", "volumes.path", message));
            }
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<()> {
        let texts = [("runtime.image", &self.runtime.image), ("name", &self.name), ("key", &self.key)];
        for (field, text) in texts {
            if text.as_ref().is_some_and(String::is_empty) {
                return Err(Error::invalid("provision", field, "is empty").with_hint("leave it out instead"));
            }
        }
        if self.tags.keys().any(String::is_empty) {
            return Err(Error::invalid("provision", "tags", "has an empty name"));
        }
        Ok(())
    }

    fn check_amounts(&self) -> Result<()> {
        let resources = &self.resources;
        let amounts = [
            ("gpu.count", self.gpu.as_ref().and_then(|gpu| gpu.count).map(u64::from)),
            ("resources.cpuRequestMillis", resources.cpu_request_millis.map(u64::from)),
            ("resources.cpuLimitMillis", resources.cpu_limit_millis.map(u64::from)),
            ("resources.memoryRequestBytes", resources.memory_request_bytes),
            ("resources.memoryLimitBytes", resources.memory_limit_bytes),
            ("resources.pidsLimit", resources.pids_limit.map(u64::from)),
            ("resources.diskLimitBytes", resources.disk_limit_bytes),
            ("duration.maxSeconds", self.duration.max_seconds),
            ("duration.idleSeconds", self.duration.idle_seconds),
        ];
        for (field, amount) in amounts {
            if amount == Some(0) {
                return Err(Error::invalid("provision", field, "is 0").with_hint("leave it out for no bound"));
            }
        }
        below(resources.cpu_request_millis, resources.cpu_limit_millis, "resources.cpuRequestMillis")?;
        below(resources.memory_request_bytes, resources.memory_limit_bytes, "resources.memoryRequestBytes")
    }

    fn check_ports(&self) -> Result<()> {
        let (mut seen, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for spec in &self.network.ports {
            if spec.port == 0 || !seen.insert(spec.port) {
                return Err(Error::invalid(
                    "provision",
                    "network.ports",
                    format_args!("names port {} twice, or port 0", spec.port),
                ));
            }
            let Some(host) = spec.host_port else { continue };
            if host == 0 || spec.kind != PortKind::Plain || !outside.insert(host) {
                let text = format_args!("is {host} for port {}: twice, 0, or not of a plain port", spec.port);
                return Err(Error::invalid("provision", "network.ports.hostPort", text));
            }
        }
        Ok(())
    }
}

/// Refuses a request that is above its limit.
fn below<T: PartialOrd>(request: Option<T>, limit: Option<T>, field: &str) -> Result<()> {
    match (request, limit) {
        (Some(request), Some(limit)) if request > limit => {
            Err(Error::invalid("provision", field, "is above the limit"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{
        "runtime": {"image": "python:3.12-slim", "command": ["pip", "list"], "main": ["serve"], "workdir": "/srv"},
        "gpu": {"type": "A100", "count": 2},
        "duration": {"maxSeconds": 600},
        "network": {"tailscaleAuthKey": "tskey-1"},
        "env": {"TOKEN": "hush"}
    }"#;

    #[test]
    fn a_spec_has_the_known_json_shape_and_comes_back() {
        let spec = ProvisionSpec::from_json(FULL).unwrap();
        assert_eq!(spec.runtime.image.as_deref(), Some("python:3.12-slim"));
        assert_eq!(
            (&*spec.runtime.command, &*spec.runtime.main),
            (&["pip", "list"].map(str::to_owned)[..], &["serve".to_owned()][..])
        );
        assert_eq!(spec.gpu.as_ref().unwrap().count_or_one(), 2);
        assert_eq!(spec.duration.max_seconds, Some(600));
        assert_eq!(spec.network.tailscale_auth_key.as_ref().unwrap().expose(), "tskey-1");
        let again = ProvisionSpec::from_json(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        for (json, name) in [
            (r#"{"gpus": 1}"#, "gpus"),
            (r#"{"runtime": {"img": "x"}}"#, "img"),
            (r#"{"duration": {"max_seconds": 1}}"#, "max_seconds"),
        ] {
            let error = ProvisionSpec::from_json(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn g8_debug_hides_keys_and_values() {
        let shown = format!("{:?}", ProvisionSpec::from_json(FULL).unwrap());
        assert!(!shown.contains("tskey") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn g8_what_is_malformed_is_not_quoted() {
        for json in [
            r#"{"env": "hush"}"#,
            r#"{"secrets": "hush"}"#,
            r#"{"secrets": ["hush"]}"#,
            r#"{"secrets": [{"values": "hush"}]}"#,
            r#"{"network": "hush"}"#,
            r#"{"runtime": {"registry": "hush"}}"#,
        ] {
            let error = ProvisionSpec::from_json(json).unwrap_err();
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            let error = serde_json::from_str::<ProvisionSpec>(json).unwrap_err();
            assert!(json.contains("network") || !error.to_string().contains("hush"), "{error}");
        }
    }

    #[test]
    fn g4_the_canonical_text_leaves_out_key_and_owner() {
        let spec = ProvisionSpec::new("host").with_env("A", "1");
        let mut bound = spec.clone().with_key("k");
        bound.attachment = Attachment::Bound;
        assert_eq!(spec.canonical(), bound.canonical());
        assert_ne!(spec.canonical(), spec.clone().with_env("A", "2").canonical());
        assert_ne!(spec.canonical(), spec.clone().with_main(["true"]).canonical());
        assert_ne!(
            spec.clone().with_command(["true"]).canonical(),
            spec.clone().with_main(["true"]).canonical()
        );
    }

    #[test]
    fn malformed_fields_are_refused_by_name() {
        for (json, field) in [
            (r#"{"duration": {"maxSeconds": 0}}"#, "duration.maxSeconds"),
            (r#"{"runtime": {"workdir": "srv"}}"#, "runtime.workdir"),
            (r#"{"runtime": {"command": [""]}}"#, "runtime.command"),
            (r#"{"runtime": {"main": ["a\u0000b"]}}"#, "runtime.main"),
            (r#"{"resources": {"cpuRequestMillis": 2, "cpuLimitMillis": 1}}"#, "resources.cpuRequestMillis"),
            (r#"{"network": {"ports": [{"port": 80}, {"port": 80}]}}"#, "network.ports"),
            (r#"{"network": {"ports": [{"port": 80, "hostPort": 8080}]}}"#, "network.ports.hostPort"),
            (
                r#"{"network": {"ports": [{"port": 80, "kind": "plain", "hostPort": 0}]}}"#,
                "network.ports.hostPort",
            ),
            (
                r#"{"network": {"policy": {"allowList": {"cidrs": ["10/8"]}}}}"#,
                "network.policy.allowList.cidrs",
            ),
            (
                r#"{"network": {"policy": {"allowList": {"domains": ["a b"]}}}}"#,
                "network.policy.allowList.domains",
            ),
            (r#"{"name": ""}"#, "name"),
        ] {
            let error = ProvisionSpec::from_json(json).unwrap().validate().unwrap_err();
            assert_eq!(error.field(), Some(field));
        }
    }
}
