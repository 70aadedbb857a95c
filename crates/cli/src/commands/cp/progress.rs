//! How far a copy got, on a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use openlattice_copy::{CopyOptions, CopyReport};

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// A line on standard error that counts; nothing where that is no terminal, or JSON is asked for.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn start(json: bool) -> Self {
        if json || !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "{spinner} {binary_bytes} of {binary_total_bytes} ({binary_bytes_per_sec})  {msg}",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Options of a copy that tells this line how far it got.
    pub(super) fn options(&self) -> CopyOptions {
        let bar = self.0.clone();
        if bar.is_hidden() {
            return CopyOptions::default();
        }
        CopyOptions::default().with_progress(move |so_far| {
            // Folders that are not listed yet may have more.
            bar.set_length(so_far.bytes_found.max(so_far.bytes));
            bar.set_position(so_far.bytes);
            bar.set_message(format!("{} files", so_far.files));
        })
    }

    /// Leaves the sums, or nothing where it failed.
    pub(super) fn end(self, report: Option<&CopyReport>) {
        match report {
            Some(report) if !self.0.is_hidden() => {
                let sums = format!(
                    "{} files, {} directories, {} links, {}",
                    report.files,
                    report.directories,
                    report.links,
                    HumanBytes(report.bytes)
                );
                self.0.println(sums);
                self.0.finish_and_clear();
            }
            _ => self.0.finish_and_clear(),
        }
    }
}
