//! Images: from a registry, from Dockerfile lines, from an id.

mod build;

use openlattice_modal_proto::client as wire;

use crate::app::App;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, ErrorKind, Result};
use crate::status::Operation;
use crate::stored_secret::SecretId;

const IMAGE_FROM_ID: Operation = Operation::repeatable("ImageFromId");

/// The id of an image that is built, `im-...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageId(String);

impl ImageId {
    /// Takes an id as it is; whether it exists shows when it is used, or with [`Client::image`].
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What to build an image from.
#[derive(Debug, Clone, Default)]
pub struct ImageSpec {
    lines: Vec<String>,
    base: Option<ImageId>,
    registry_secret: Option<SecretId>,
    secrets: Vec<SecretId>,
    force: bool,
}

impl ImageSpec {
    /// Starts from an image of a registry: `python:3.12-slim`, `ghcr.io/owner/name@sha256:...`, or a name that the server knows.
    #[must_use]
    pub fn from_registry(reference: &str) -> Self {
        Self { lines: vec![format!("FROM {reference}")], ..Self::default() }
    }

    /// Starts from an image that is already built.
    #[must_use]
    pub fn from_image(base: ImageId) -> Self {
        Self { lines: vec!["FROM base".to_owned()], base: Some(base), ..Self::default() }
    }

    /// Adds Dockerfile lines, one instruction each. Copying from a local folder is refused: nothing is uploaded.
    #[must_use]
    pub fn with_dockerfile_lines<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.lines.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Uses a stored secret with the keys `REGISTRY_USERNAME` and `REGISTRY_PASSWORD` for the registry.
    #[must_use]
    pub fn with_registry_credentials(mut self, secret: SecretId) -> Self {
        self.registry_secret = Some(secret);
        self
    }

    /// Shows a stored secret's values to the build as variables.
    #[must_use]
    pub fn with_secret(mut self, secret: SecretId) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Builds again even when the same image exists.
    #[must_use]
    pub fn with_force_build(mut self) -> Self {
        self.force = true;
        self
    }

    fn check(&self) -> Result<()> {
        for line in &self.lines {
            if line.contains(['\n', '\r', '\0']) {
                return Err(Error::invalid(
                    "a Dockerfile line holds a line break; give one instruction per line",
                ));
            }
            if line.split_whitespace().next() == Some("FROM") && line.split_whitespace().count() < 2 {
                return Err(Error::invalid(
                    "an empty image reference; name an image such as python:3.12-slim",
                ));
            }
            if copies_local_files(line) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{line:?} copies from a local folder; write the files into the sandbox instead"),
                ));
            }
        }
        Ok(())
    }

    fn on_wire(&self) -> wire::Image {
        let base_images = self
            .base
            .iter()
            .map(|base| wire::BaseImage { image_id: base.0.clone(), docker_tag: "base".to_owned() });
        let registry = self.registry_secret.as_ref().map(|secret| wire::ImageRegistryConfig {
            registry_auth_type: wire::RegistryAuthType::StaticCreds.into(),
            secret_id: secret.as_str().to_owned(),
        });
        wire::Image {
            base_images: base_images.collect(),
            dockerfile_commands: self.lines.clone(),
            secret_ids: self.secrets.iter().map(|secret| secret.as_str().to_owned()).collect(),
            image_registry_config: registry,
            ..Default::default()
        }
    }
}

/// Says whether an instruction copies from the build context; `COPY --from=` copies from another image.
fn copies_local_files(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    (word.eq_ignore_ascii_case("COPY") || word.eq_ignore_ascii_case("ADD"))
        && !words.any(|word| word.starts_with("--from="))
}

impl Client {
    /// Checks that an image exists and gives its id back.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not.
    pub async fn image(&self, id: &ImageId) -> Result<ImageId> {
        let request = wire::ImageFromIdRequest { image_id: id.0.clone() };
        let send = |mut stub: ControlPlane, request| async move { stub.image_from_id(request).await };
        let reply = self.unary(IMAGE_FROM_ID, request, send).await.map_err(missing_image)?;
        Ok(ImageId(reply.image_id))
    }

    /// Builds an image, or finds the one that the same spec gave before, and returns when it is ready.
    ///
    /// The server keeps images by their content: repeating a build is safe and cheap. Lines of the build's log go to `on_log`.
    ///
    /// # Errors
    /// [`ErrorKind::BuildFailed`] with the server's text; [`ErrorKind::Unsupported`] for lines that copy local files;
    /// [`ErrorKind::InvalidArgument`] for lines with line breaks.
    pub async fn build_image(
        &self,
        app: &App,
        spec: &ImageSpec,
        mut on_log: impl FnMut(&str) + Send,
    ) -> Result<ImageId> {
        spec.check()?;
        let builder_version = self.builder_version().await?;
        build::run(self, app, spec, builder_version, &mut on_log).await
    }
}

/// The service says of an unknown image id that a precondition failed; the text tells.
fn missing_image(error: Error) -> Error {
    let missing = error.kind() == ErrorKind::FailedPrecondition
        && error.message().contains("Could not find image with ID");
    if missing { error.with_kind(ErrorKind::NotFound) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_image_is_one_line() {
        let image = ImageSpec::from_registry("python:3.12-slim").on_wire();
        assert_eq!(image.dockerfile_commands, ["FROM python:3.12-slim"]);
        assert!(image.base_images.is_empty());
    }

    #[test]
    fn a_layer_names_its_base() {
        let spec = ImageSpec::from_image(ImageId::new("im-1")).with_dockerfile_lines(["RUN true"]);
        let image = spec.on_wire();
        assert_eq!(image.dockerfile_commands, ["FROM base", "RUN true"]);
        assert_eq!(image.base_images[0].image_id, "im-1");
    }

    #[test]
    fn what_cannot_be_built_is_refused_before_anything_is_sent() {
        let kind = |line: &str| {
            let spec = ImageSpec::from_registry("a").with_dockerfile_lines([line]);
            spec.check().err().map(|error| error.kind())
        };
        assert_eq!(kind("COPY . /app"), Some(ErrorKind::Unsupported));
        assert_eq!(kind("add x /x"), Some(ErrorKind::Unsupported));
        assert_eq!(kind("COPY --from=busybox /bin/sh /sh"), None);
        assert_eq!(kind("RUN a\nRUN b"), Some(ErrorKind::InvalidArgument));
        assert!(ImageSpec::from_registry("").check().is_err());
    }
}
