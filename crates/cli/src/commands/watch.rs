//! `lattice watch`.

use std::time::Duration;

use clap::Args;
use openlattice::{ComputeProviderExt, Error, FileEvent, FileEventKind, FileWatch, WatchOptions};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, resolve, value};

/// Watch files in a sandbox for changes
///
/// Prints one line for each change until Ctrl-C, the end of its time or of the sandbox. The word `unknown` means that changes
/// were lost: look at that path again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice watch --recursive --kind create --kind modify sb-0123:/srv")]
pub(crate) struct Watch {
    /// The sandbox (ID, name or beginning of the ID) and an absolute path in it, ID:/path
    place: String,
    /// Watch the folders below too
    #[arg(short = 'r', long)]
    recursive: bool,
    /// Show only changes of this kind; may be given several times [default: all]
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<FileEventKind>,
    /// Time after which it ends, such as 30s
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    timeout: Option<Duration>,
    /// Print each change as a JSON object on one line
    #[arg(long)]
    json: bool,
}

/// Reads the name of a kind, `modify` or `renameFrom`.
fn kind(text: &str) -> std::result::Result<FileEventKind, String> {
    let known = FileEventKind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| {
        let names: Vec<_> = FileEventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("no kind {text:?}; there are {}", names.join(", "))
    })
}

impl Watch {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (sandbox, path) = self.place()?;
        let provider = context.provider().await?;
        let id = resolve::living(&*provider, sandbox).await?;
        let node = provider.node(id);
        let files = node.files().ok_or_else(|| Error::unsupported("watch", "extensions.files"))?;
        let mut watch = files.watch(path, self.options()).await?;
        tokio::select! {
            shown = self.show(&mut *watch) => shown,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }

    async fn show(&self, watch: &mut dyn FileWatch) -> Result<()> {
        while let Some(event) = watch.next_event().await? {
            output::print_line(&self.line(&event))?;
        }
        Ok(())
    }

    fn place(&self) -> Result<(&str, &str)> {
        match self.place.split_once(':') {
            Some((id, path)) if !id.is_empty() && path.starts_with('/') => Ok((id, path)),
            _ => {
                let text = format!("{:?} is not ID:/path\nhint: write the path from the root on", self.place);
                Err(Failure::invalid(text))
            }
        }
    }

    fn options(&self) -> WatchOptions {
        let mut options = WatchOptions { recursive: self.recursive, ..WatchOptions::default() };
        if !self.kinds.is_empty() {
            options = options.with_filter(self.kinds.iter().copied());
        }
        // Whole seconds, and not fewer than asked for.
        let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
        options.timeout_seconds = self.timeout.map(|time| u32::try_from(seconds(time)).unwrap_or(u32::MAX));
        options
    }

    /// One line, whatever the names have in them.
    fn line(&self, event: &FileEvent) -> String {
        if self.json {
            return serde_json::to_string(event).expect("our own types always serialise");
        }
        let paths: Vec<_> = event.paths.iter().map(|path| path.escape_debug().to_string()).collect();
        format!("{} {}", event.kind, paths.join(" -> "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_by_name_and_others_refused() {
        assert_eq!(kind("renamefrom"), Ok(FileEventKind::RenameFrom));
        assert!(kind("chmod").unwrap_err().contains("modify"));
    }
}
