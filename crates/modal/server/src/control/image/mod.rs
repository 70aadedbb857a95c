//! Images: names of this store, and configuration on top of them.

mod dockerfile;

pub(crate) use dockerfile::ImageConfig;

use super::{Reply, app::BUILDER_VERSION};
use crate::{ids, result, shared::Shared, state::BuiltImage, status};
use openlattice_engine::{ErrorKind, ImageInfo};
use openlattice_modal_proto::client::{
    Arch, Image, ImageDeleteRequest, ImageFromIdRequest, ImageFromIdResponse, ImageGetOrCreateRequest,
    ImageGetOrCreateResponse, ImageJoinStreamingRequest, ImageJoinStreamingResponse, ImageMetadata,
};
use tonic::{Response, Status};

/// An image as sandboxes are made from it.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The id that the client knows.
    pub(crate) id: String,
    /// The engine's image.
    pub(crate) base: ImageInfo,
    /// What is set on top.
    pub(crate) config: ImageConfig,
}

impl Resolved {
    /// What comes before a command.
    pub(crate) fn entrypoint(&self) -> &[String] {
        self.config.entrypoint.as_deref().unwrap_or_default()
    }

    /// What runs when nothing is asked for. A line that sets the entry point clears the image's own command.
    pub(crate) fn command(&self) -> &[String] {
        match (&self.config.cmd, &self.config.entrypoint) {
            (Some(command), _) => command,
            (None, Some(_)) => &[],
            (None, None) => &self.base.command,
        }
    }

    fn metadata(&self) -> ImageMetadata {
        ImageMetadata {
            workdir: self.config.workdir.clone().or_else(|| self.base.workdir.clone()),
            image_builder_version: Some(BUILDER_VERSION.to_owned()),
            ..Default::default()
        }
    }
}

/// The image of an id; `NOT_FOUND` when there is none. Names are no ids.
pub(crate) async fn by_id(shared: &Shared, id: &str) -> Result<Resolved, Status> {
    let unknown = || Status::not_found(format!("Could not find image with ID {id:?}"));
    if !id.starts_with("im-") {
        return Err(unknown());
    }
    let (base, config) = match shared.state.built_image(id).await? {
        Some(built) => {
            let config = serde_json::from_str(&built.config)
                .map_err(|error| Status::data_loss(format!("record of image {id}: {error}")))?;
            (built.base, config)
        }
        None => (id.to_owned(), ImageConfig::default()),
    };
    match shared.engine.image(&base).await {
        Ok(base) => Ok(Resolved { id: id.to_owned(), base, config }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidArgument) => {
            Err(unknown())
        }
        Err(error) => Err(status::from_engine(error)),
    }
}

/// The id of `base` with `config` on top: `base` itself when nothing is set. Same content, same id.
pub(crate) async fn keep(shared: &Shared, base: &str, config: &ImageConfig) -> Result<String, Status> {
    if *config == ImageConfig::default() {
        return Ok(base.to_owned());
    }
    let text = serde_json::to_string(config).map_err(|error| Status::internal(error.to_string()))?;
    let id = ids::of_content("im", format!("{base}\n{text}").as_bytes());
    shared.state.keep_image(BuiltImage { id: id.clone(), base: base.to_owned(), config: text }).await?;
    Ok(id)
}

/// Builds at once; what cannot be built is a result that says why, as clients expect it.
pub(super) async fn get_or_create(
    shared: &Shared,
    request: ImageGetOrCreateRequest,
) -> Reply<ImageGetOrCreateResponse> {
    let image = request.image.unwrap_or_default();
    let name_for_failure = ids::of_content("im", image.dockerfile_commands.join("\n").as_bytes());
    let refused =
        if request.build_function_id.is_empty() { refused_field(&image) } else { Some("build_function_id") };
    let built = match refused {
        Some(field) => Err(Failure::User(format!("{field} is not supported by this server; leave it out"))),
        None => build(shared, &image).await,
    };
    let (image_id, result, metadata) = match built {
        Ok(resolved) => (resolved.id.clone(), result::success(), resolved.metadata()),
        Err(Failure::User(text)) => (name_for_failure, result::failure(text), ImageMetadata::default()),
        Err(Failure::Status(status)) => return Err(status),
    };
    Ok(Response::new(ImageGetOrCreateResponse { image_id, result: Some(result), metadata: Some(metadata) }))
}

enum Failure {
    /// The definition cannot be built; the text is for the user.
    User(String),
    /// The call failed.
    Status(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// The first field that is set and not offered. Fields that change nothing here are left out: `version`,
/// `runtime_debug`, an empty GPU or registry message.
fn refused_field(image: &Image) -> Option<&'static str> {
    let gpu = image.gpu_config.as_ref().is_some_and(|gpu| gpu.count > 0 || !gpu.gpu_type.is_empty());
    let registry = image.image_registry_config.as_ref().is_some_and(|config| !config.secret_id.is_empty());
    let other_arch = match image.arch() {
        Arch::Unspecified => false,
        Arch::X8664 => cfg!(not(target_arch = "x86_64")),
        Arch::Aarch64 => cfg!(not(target_arch = "aarch64")),
    };
    let table = [
        (!image.context_files.is_empty(), "context_files"),
        (!image.context_mount_id.is_empty(), "context_mount_id (COPY from local files, add_python)"),
        (!image.secret_ids.is_empty(), "secret_ids of a build"),
        (gpu, "gpu_config of a build"),
        (registry, "image_registry_config (registries are not pulled from yet)"),
        (image.build_function.is_some(), "build_function"),
        (!image.build_args.is_empty(), "build_args"),
        (!image.volume_mounts.is_empty(), "volume_mounts of a build"),
        (other_arch, "arch other than this machine's"),
    ];
    table.into_iter().find_map(|(asked, field)| asked.then_some(field))
}

async fn build(shared: &Shared, image: &Image) -> Result<Resolved, Failure> {
    let lines = dockerfile::lines(&image.dockerfile_commands);
    let (from, rest) = match lines.split_first() {
        Some((from, rest)) if from.instruction == "FROM" => (from, rest),
        _ => return Err(Failure::User("an image must start with a FROM line".to_owned())),
    };
    let at = |line: &dockerfile::Line, text: String| {
        Failure::User(format!("line {} ({} {}): {text}", line.number, line.instruction, line.rest))
    };
    let name = dockerfile::from_name(from).map_err(|text| at(from, text))?;
    let base = match image.base_images.iter().find(|base| base.docker_tag == name) {
        Some(base) => by_id(shared, &base.image_id).await?,
        None => local(shared, name).await?.ok_or_else(|| at(from, unknown_name(name)))?,
    };
    let mut config = base.config.clone();
    for line in rest {
        dockerfile::follow(&mut config, line, &base.base.env).map_err(|text| at(line, text))?;
    }
    let id = keep(shared, base.base.id.as_str(), &config).await?;
    Ok(Resolved { id, base: base.base, config })
}

fn unknown_name(name: &str) -> String {
    format!(
        "no image of this store is named {name:?}, and registries are not pulled from yet; \
         import it with `lattice images import {name} FILE`, or use `host`"
    )
}

/// The image of a name of this store; `:latest` may be left out or said.
async fn local(shared: &Shared, name: &str) -> Result<Option<Resolved>, Status> {
    for name in [Some(name), name.strip_suffix(":latest")].into_iter().flatten() {
        match shared.engine.image(name).await {
            Ok(base) => {
                return Ok(Some(Resolved { id: base.id.to_string(), base, config: ImageConfig::default() }));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidArgument) => {}
            Err(error) => return Err(status::from_engine(error)),
        }
    }
    Ok(None)
}

/// Every image that exists is built: one message, then the end.
pub(super) async fn join(
    shared: &Shared,
    request: ImageJoinStreamingRequest,
) -> Result<ImageJoinStreamingResponse, Status> {
    let image = by_id(shared, &request.image_id).await?;
    Ok(ImageJoinStreamingResponse {
        result: Some(result::success()),
        metadata: Some(image.metadata()),
        entry_id: "1-0".to_owned(),
        eof: true,
        ..Default::default()
    })
}

pub(super) async fn from_id(shared: &Shared, request: ImageFromIdRequest) -> Reply<ImageFromIdResponse> {
    let image = by_id(shared, &request.image_id).await?;
    Ok(Response::new(ImageFromIdResponse { metadata: Some(image.metadata()), image_id: image.id }))
}

/// Removes a record of ours, or the engine's image; `FAILED_PRECONDITION` while a sandbox uses it.
pub(super) async fn delete(shared: &Shared, request: ImageDeleteRequest) -> Reply<()> {
    if shared.state.forget_image(&request.image_id).await? {
        return Ok(Response::new(()));
    }
    by_id(shared, &request.image_id).await?;
    shared.engine.remove_image(&request.image_id).await.map_err(status::from_engine)?;
    Ok(Response::new(()))
}
