//! Pulls with a progress bar on standard error.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use openlattice_engine::{Engine, ImageInfo, PullSpec};

use crate::context::Context;
use crate::failure::Result;

/// How the bar looks; where standard error is no terminal there is none.
const LOOK: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";

/// Pulls an image, whatever the store has.
pub(crate) async fn pull(engine: &Engine, spec: PullSpec) -> Result<ImageInfo> {
    let (spec, bar) = watched(spec);
    let pulled = engine.pull_image(spec).await;
    bar.finish_and_clear();
    Ok(pulled?)
}

/// Pulls the image of a new node of this machine's when the store has none of that name; for other providers nothing is done.
pub(crate) async fn pull_missing(context: &Context, image: Option<&str>) -> Result<()> {
    // Names of the store's own lead to no registry.
    let foreign = |name: &&str| *name != "host" && !name.starts_with("im-");
    let Some(image) = image.filter(foreign).filter(|_| context.is_local()) else { return Ok(()) };
    let engine = context.engine("images").await?;
    let (spec, bar) = watched(PullSpec::new(image));
    let found = engine.ensure_image(spec).await;
    bar.finish_and_clear();
    found?;
    Ok(())
}

/// The spec with a bar that follows it, shown from its first bytes on.
fn watched(mut spec: PullSpec) -> (PullSpec, ProgressBar) {
    let bar = ProgressBar::hidden();
    let style = ProgressStyle::with_template(LOOK).expect("the template is well-formed");
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(format!("pulling {}", spec.reference));
    let shown = bar.clone();
    let begun = std::sync::Once::new();
    spec.progress = Some(Arc::new(move |done, total| {
        begun.call_once(|| shown.set_draw_target(indicatif::ProgressDrawTarget::stderr()));
        shown.set_length(total);
        shown.set_position(done);
    }));
    (spec, bar)
}
