//! What a request for an image asks for, checked before anything is done.

use super::{
    dockerfile::{self, ImageConfig, Line},
    script::{Action, Script, context_name},
};
use openlattice_modal_proto::client::{Arch, Image, RegistryAuthType};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Largest sum of the files of a build's context; they travel in the request.
const CONTEXT: usize = 16 << 20;

/// A definition that was checked as far as it can be without its base.
#[derive(Debug)]
pub(super) struct Definition {
    /// The `FROM` line.
    pub(super) from: Line,
    /// The image's name there.
    pub(super) name: String,
    /// The image id that the name stands for, when the request says so.
    pub(super) base: Option<String>,
    /// The lines after it.
    pub(super) lines: Vec<Line>,
    /// Secret with the registry's credentials.
    pub(super) registry_secret: Option<String>,
    /// Secrets whose values commands see.
    pub(super) secrets: Vec<String>,
    pub(super) arguments: BTreeMap<String, String>,
    /// Files that `COPY` can name.
    pub(super) context: BTreeMap<String, Vec<u8>>,
    /// Whether something is to be done in the image's files.
    pub(super) needs_files: bool,
}

impl Definition {
    /// Reads a request. The error is for the user.
    pub(super) fn read(image: &Image) -> Result<Self, String> {
        if let Some(field) = refused_field(image) {
            return Err(format!("{field} is not supported by this server; leave it out"));
        }
        let mut lines = dockerfile::lines(&image.dockerfile_commands);
        if lines.first().is_none_or(|from| from.instruction != "FROM") {
            return Err("an image must start with a FROM line".to_owned());
        }
        let from = lines.remove(0);
        let name = dockerfile::from_name(&from).map_err(|text| at(&from, &text))?.to_owned();
        let base = image.base_images.iter().find(|base| base.docker_tag == name);
        let registry = image.image_registry_config.as_ref().filter(|config| !config.secret_id.is_empty());
        let mut definition = Self {
            name,
            from,
            base: base.map(|base| base.image_id.clone()),
            lines,
            registry_secret: registry.map(|config| config.secret_id.clone()),
            secrets: image.secret_ids.clone(),
            arguments: image.build_args.clone().into_iter().collect(),
            context: context(image)?,
            needs_files: false,
        };
        definition.check()?;
        Ok(definition)
    }

    /// Follows all lines on an image that sets nothing: what is wrong with one does not depend on the image.
    fn check(&mut self) -> Result<(), String> {
        let mut script = self.script(ImageConfig::default(), Vec::new(), None);
        for line in &self.lines {
            let action = script.follow(line).map_err(|text| at(line, &text))?;
            self.needs_files |= action.needs_files();
            if let Action::Copy { sources, .. } = &action
                && let Some(missing) = sources.iter().find(|name| !self.context.contains_key(*name))
            {
                return Err(at(line, &format!("the build's context has no file {missing:?}")));
            }
        }
        match script.unused() {
            Some(name) => Err(format!("build_args: no ARG line takes {name:?}; leave it out")),
            None => Ok(()),
        }
    }

    /// The script on an image.
    pub(super) fn script(
        &self,
        config: ImageConfig,
        outer: Vec<(String, String)>,
        workdir: Option<String>,
    ) -> Script {
        Script::new(config, outer, workdir, self.arguments.clone())
    }

    /// A text that is the same for the same definition; `secrets` stands for the values of its secrets.
    pub(super) fn content(&self, secrets: &[String]) -> String {
        let lines: Vec<(&str, &str)> =
            self.lines.iter().map(|line| (line.instruction.as_str(), line.rest.as_str())).collect();
        let digest = |bytes: &Vec<u8>| Sha256::digest(bytes).to_vec();
        let context: BTreeMap<&String, Vec<u8>> =
            self.context.iter().map(|(name, bytes)| (name, digest(bytes))).collect();
        let base = (&self.name, &self.base);
        serde_json::json!(["build", base, lines, self.arguments, context, secrets]).to_string()
    }
}

/// What is wrong with a line.
pub(super) fn at(line: &Line, text: &str) -> String {
    format!("line {} ({} {}): {text}", line.number, line.instruction, line.rest)
}

fn context(image: &Image) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if image.context_files.iter().map(|file| file.data.len()).sum::<usize>() > CONTEXT {
        return Err(format!(
            "context_files are larger than {CONTEXT} bytes; write the files into the sandbox instead"
        ));
    }
    let file = |file: &openlattice_modal_proto::client::ImageContextFile| {
        (context_name(&file.filename).to_owned(), file.data.clone())
    };
    Ok(image.context_files.iter().map(file).collect())
}

/// The first field that is set and not offered. Fields that change nothing here are left out: `version`,
/// `runtime_debug`, an empty GPU or registry message.
fn refused_field(image: &Image) -> Option<&'static str> {
    let gpu = image.gpu_config.as_ref().is_some_and(|gpu| gpu.count > 0 || !gpu.gpu_type.is_empty());
    let other_registry = image.image_registry_config.as_ref().and_then(refused_registry);
    let other_arch = match image.arch() {
        Arch::Unspecified => false,
        Arch::X8664 => cfg!(not(target_arch = "x86_64")),
        Arch::Aarch64 => cfg!(not(target_arch = "aarch64")),
    };
    let table = [
        (!image.context_mount_id.is_empty(), "context_mount_id (COPY from local files, add_python)"),
        (gpu, "gpu_config of a build"),
        (other_registry.is_some(), other_registry.unwrap_or_default()),
        (image.build_function.is_some(), "build_function"),
        (!image.volume_mounts.is_empty(), "volume_mounts of a build"),
        (other_arch, "arch other than this machine's"),
    ];
    table.into_iter().find_map(|(asked, field)| asked.then_some(field))
}

/// A way to open a registry that is not offered, by name.
fn refused_registry(config: &openlattice_modal_proto::client::ImageRegistryConfig) -> Option<&'static str> {
    match config.registry_auth_type() {
        RegistryAuthType::StaticCreds => None,
        RegistryAuthType::Unspecified | RegistryAuthType::Public if config.secret_id.is_empty() => None,
        RegistryAuthType::Unspecified => {
            Some("image_registry_config with a secret and registry_auth_type UNSPECIFIED")
        }
        RegistryAuthType::Public => Some("image_registry_config with a secret and registry_auth_type PUBLIC"),
        RegistryAuthType::Aws => Some("image_registry_config with registry_auth_type AWS"),
        RegistryAuthType::Gcp => Some("image_registry_config with registry_auth_type GCP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openlattice_modal_proto::client::{ImageContextFile, ImageRegistryConfig};

    fn image(lines: &[&str]) -> Image {
        Image {
            dockerfile_commands: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn what_cannot_be_followed_names_its_line() {
        let error = |lines: &[&str]| Definition::read(&image(lines)).err().unwrap_or_default();
        assert!(error(&["RUN true"]).contains("FROM"));
        assert!(error(&["FROM a", "ADD x y"]).contains("line 2 (ADD x y)"));
        assert!(
            error(&["FROM a", "", "COPY x y"])
                .contains("line 3 (COPY x y): the build's context has no file \"x\"")
        );
        assert!(error(&["FROM --platform=x a"]).contains("line 1"));
    }

    #[test]
    fn only_lines_that_touch_files_need_them() {
        let needs = |lines: &[&str]| Definition::read(&image(lines)).unwrap().needs_files;
        assert!(!needs(&["FROM a", "ENV A=1", "WORKDIR /w", "ARG X=1", "CMD x"]));
        assert!(needs(&["FROM a", "RUN x"]) && needs(&["FROM a", "USER u"]));
    }

    #[test]
    fn the_content_is_everything_that_matters() {
        let of = |image: &Image, secrets: &[String]| Definition::read(image).unwrap().content(secrets);
        let plain = image(&["FROM a", "RUN x"]);
        let same = image(&["FROM a", "# words", "RUN x"]);
        assert_eq!(of(&plain, &[]), of(&same, &[]));
        let mut file = image(&["FROM a", "RUN x"]);
        file.context_files = vec![ImageContextFile { filename: "/f".to_owned(), data: b"1".to_vec() }];
        let others = [of(&image(&["FROM b", "RUN x"]), &[]), of(&file, &[]), of(&plain, &["s".to_owned()])];
        assert!(others.iter().all(|other| *other != of(&plain, &[])));
    }

    #[test]
    fn registries_of_other_kinds_are_refused_by_name() {
        let mut image = image(&["FROM a"]);
        let config = |kind: RegistryAuthType, secret: &str| ImageRegistryConfig {
            registry_auth_type: kind.into(),
            secret_id: secret.to_owned(),
        };
        for (kind, words) in [
            (RegistryAuthType::Aws, "AWS"),
            (RegistryAuthType::Gcp, "GCP"),
            (RegistryAuthType::Unspecified, "UNSPECIFIED"),
        ] {
            image.image_registry_config = Some(config(kind, "st-1"));
            assert!(Definition::read(&image).unwrap_err().contains(words));
        }
        image.image_registry_config = Some(config(RegistryAuthType::StaticCreds, "st-1"));
        assert_eq!(Definition::read(&image).unwrap().registry_secret.as_deref(), Some("st-1"));
        image.image_registry_config = Some(config(RegistryAuthType::Public, ""));
        assert!(Definition::read(&image).unwrap().registry_secret.is_none());
    }
}
