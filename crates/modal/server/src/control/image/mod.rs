//! Images: names of this store and of registries, configuration on top of them, and builds.

mod definition;
mod dockerfile;
mod follow;
mod run;
mod script;
mod words;

pub(crate) use dockerfile::ImageConfig;
pub(in crate::control) use follow::join;

use super::{Reply, Streamed, app::BUILDER_VERSION};
use crate::{build::Build, ids, result, shared::Shared, state::BuiltImage, status};
use definition::Definition;
use openlattice_engine::{ErrorKind, ImageInfo};
use openlattice_modal_proto::client::{
    GenericResult, Image, ImageDeleteRequest, ImageFromIdRequest, ImageFromIdResponse,
    ImageGetOrCreateRequest, ImageGetOrCreateResponse, ImageMetadata,
};
use prost::Message;
use std::sync::Arc;
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

/// The id of `base` with `config` on top: `base` itself when that changes nothing. Same content, same id.
pub(crate) async fn keep(
    shared: &Shared,
    base: &ImageInfo,
    mut config: ImageConfig,
) -> Result<String, Status> {
    if config.sole_command().is_some_and(|command| command == base.command) {
        (config.entrypoint, config.cmd) = (None, None);
    }
    let base = base.id.to_string();
    if config == ImageConfig::default() {
        return Ok(base);
    }
    let text = serde_json::to_string(&config).map_err(|error| Status::internal(error.to_string()))?;
    let id = ids::of_content("im", format!("{base}\n{text}").as_bytes());
    shared.state.keep_image(BuiltImage { id: id.clone(), base, config: text }).await?;
    Ok(id)
}

/// Gives the image of a definition: at once when it is there or nothing is to be done for it but to note settings, else a build that
/// [`join`] follows. The same definition has the same id, for as long as its base is the same image.
pub(super) async fn get_or_create(
    shared: &Arc<Shared>,
    request: ImageGetOrCreateRequest,
) -> Reply<ImageGetOrCreateResponse> {
    let image = request.image.unwrap_or_default();
    let read = match request.build_function_id.is_empty() {
        true => Definition::read(&image),
        false => Err("build_function_id is not supported by this server; leave it out".to_owned()),
    };
    let definition = match read {
        Ok(definition) => definition,
        Err(text) => {
            let image_id = ids::of_content("im", image.dockerfile_commands.join("\n").as_bytes());
            return Ok(answer(image_id, result::failure(text), ImageMetadata::default()));
        }
    };
    let id = definition_id(shared, &definition).await?;
    match ready(shared, &id, &definition, request.force_build).await? {
        Some(image) => Ok(answer(image.id.clone(), result::success(), image.metadata())),
        None => {
            start(shared, &id, definition, &image).await?;
            Ok(answer(id, GenericResult::default(), ImageMetadata::default()))
        }
    }
}

fn answer(
    image_id: String,
    result: GenericResult,
    metadata: ImageMetadata,
) -> Response<ImageGetOrCreateResponse> {
    Response::new(ImageGetOrCreateResponse { image_id, result: Some(result), metadata: Some(metadata) })
}

async fn definition_id(shared: &Shared, definition: &Definition) -> Result<String, Status> {
    let mut secrets = Vec::new();
    for id in &definition.secrets {
        secrets.push(shared.state.secret_digest(id).await?);
    }
    Ok(ids::of_content("im", definition.content(&secrets).as_bytes()))
}

/// The image of a definition, when there is nothing to build for it.
async fn ready(
    shared: &Shared,
    id: &str,
    definition: &Definition,
    force: bool,
) -> Result<Option<Resolved>, Status> {
    if shared.builds.running(id).is_some() {
        return Ok(None);
    }
    let base = match &definition.base {
        Some(base) => by_id(shared, base).await.map(Some)?,
        None => local(shared, &definition.name).await?,
    };
    let Some(base) = base else { return Ok(None) };
    let made_from = shared.state.built_from(id).await?;
    if made_from.as_deref() == Some(base.base.id.as_str())
        && (!force || !definition.needs_files)
        && let Ok(image) = by_id(shared, id).await
    {
        return Ok(Some(image));
    }
    if definition.needs_files {
        return Ok(None);
    }
    settings(shared, definition, base).await.map(Some)
}

/// The image of a definition that only sets things.
async fn settings(shared: &Shared, definition: &Definition, base: Resolved) -> Result<Resolved, Status> {
    let (outer, workdir) = (base.base.env.clone(), base.base.workdir.clone());
    let mut script = definition.script(base.config, outer, workdir);
    for line in &definition.lines {
        script.follow(line).map_err(|text| Status::internal(definition::at(line, &text)))?;
    }
    let id = keep(shared, &base.base, script.config.clone()).await?;
    Ok(Resolved { id, base: base.base, config: script.config })
}

/// Starts a build, unless it is under way. That it was begun is on record first, for a successor of this server.
async fn start(
    shared: &Arc<Shared>,
    id: &str,
    definition: Definition,
    image: &Image,
) -> Result<Arc<Build>, Status> {
    shared.state.begin_build(id, image.encode_to_vec()).await?;
    let (work, name) = (Arc::clone(shared), id.to_owned());
    Ok(shared.builds.start(id, |build| run::run(work, name, definition, build)))
}

/// Starts a build again that another server, or this one, has begun and not finished; nothing when there is none.
pub(super) async fn restart(shared: &Arc<Shared>, id: &str) -> Result<Option<Arc<Build>>, Status> {
    let Some(bytes) = shared.state.unfinished_build(id).await? else { return Ok(None) };
    let image = Image::decode(bytes.as_slice())
        .map_err(|error| Status::data_loss(format!("build of {id}: {error}")))?;
    let definition = Definition::read(&image).map_err(Status::failed_precondition)?;
    start(shared, id, definition, &image).await.map(Some)
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
