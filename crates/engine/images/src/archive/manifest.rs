//! The JSON documents of an archive, as far as they are used.
//!
//! Own structs of a few fields rather than the full types of the specification's crate, whose builders and derives
//! bring a dozen dependencies for documents that are only read here.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// How an image says to run it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Environment, each `NAME=VALUE`.
    pub env: Vec<String>,
    /// Default arguments, or the default command when there is no entry point.
    pub cmd: Vec<String>,
    /// Program and first arguments that the command is appended to.
    pub entrypoint: Vec<String>,
    /// Working directory; empty in the archive is none here.
    pub workdir: Option<String>,
    /// `USER`, `UID`, `USER:GROUP` or `UID:GID`, by the image's own `/etc/passwd`; empty in the archive is none here.
    pub user: Option<String>,
}

/// A reference to a blob (OCI image specification, descriptor.md).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) platform: Option<DescriptorPlatform>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DescriptorPlatform {
    pub(crate) os: String,
    pub(crate) architecture: String,
}

/// `index.json` or a nested index (image-index.md).
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

/// An image manifest (manifest.md).
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// An entry of `manifest.json`, which `docker save` writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SavedImage {
    pub(crate) config: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) layers: Vec<String>,
}

/// An image configuration (config.md).
#[derive(Debug, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) os: Option<String>,
    pub(crate) architecture: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    config: Runtime,
    pub(crate) rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RootFs {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) diff_ids: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Runtime {
    #[serde(deserialize_with = "null_is_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    working_dir: String,
    #[serde(deserialize_with = "null_is_default")]
    user: String,
}

impl Configuration {
    /// What this crate's users need of the configuration.
    pub(crate) fn image_config(&self) -> ImageConfig {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        ImageConfig {
            env: self.config.env.clone(),
            cmd: self.config.cmd.clone(),
            entrypoint: self.config.entrypoint.clone(),
            workdir: given(&self.config.working_dir),
            user: given(&self.config.user),
        }
    }
}

/// Go writes `null` for an empty list.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_configuration_with_nulls() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":null,"Env":["A=b"],"User":"",
            "WorkingDir":"/w"},"rootfs":{"type":"layers","diff_ids":["sha256:00"]},"history":[]}"#;
        let config = serde_json::from_str::<Configuration>(text).unwrap().image_config();
        assert_eq!(config.env, ["A=b"]);
        assert!(config.cmd.is_empty());
        assert_eq!(config.workdir.as_deref(), Some("/w"));
        assert_eq!(config.user, None);
    }
}
