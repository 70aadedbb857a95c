//! The ways to break a promise, and the behaviours that must notice.

use Fault::*;

/// One way in which a provider can break a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is broken.
    None,
    /// The argument vector becomes a shell's line.
    JoinsArguments,
    /// Output becomes text.
    ReplacesBytes,
    /// A reader starts from the beginning whatever offset was asked for.
    IgnoresOffset,
    /// Standard error is empty.
    DropsStderr,
    /// A read that is dropped midway takes what it had with it.
    LosesDroppedReads,
    /// A command that is attached to again goes on one byte too late.
    AttachesTooLate,
    /// Input that is sent again is taken again.
    DoublesInput,
    /// A non-zero exit becomes an error.
    ExitBecomesError,
    /// A failure to start becomes an exit code.
    ErrorBecomesExit,
    /// An unknown sandbox is an error for `inspect`.
    InspectFails,
    /// The key is not looked at.
    IgnoresKey,
    /// A failed provision leaves a sandbox.
    LeaksOnFailure,
    /// Destroy says that it did, and did not.
    OnlySaysDestroyed,
    /// `gc` ends what belongs to a live process.
    CollectsTheLiving,
    /// `gc` ends what belongs to nobody.
    CollectsTheDetached,
    /// An unknown option is dropped instead of refused.
    DropsWhatItCannot,
    /// What is not claimed works nevertheless.
    HidesAClaim,
    /// What is claimed is not there.
    ClaimsTooMuch,
    /// The working directory of a command is not looked at.
    IgnoresCwd,
    /// The limit on processes is not looked at.
    IgnoresPidsLimit,
    /// A terminal is dropped instead of given.
    DropsTerminal,
    /// A terminal's new size is not passed on.
    IgnoresResize,
    /// A volume that is to be read only can be written.
    IgnoresReadOnly,
    /// Tags that are set are added to those that are there.
    AddsTags,
    /// A timeout shows as a signal.
    HidesTimeout,
    /// A kill for want of memory shows as a signal.
    HidesMemoryKill,
    /// The end of the sandbox shows as an exit code of the command.
    HidesSandboxEnd,
    /// Values of variables are in error texts.
    ShowsVariables,
    /// A dropped command runs on.
    DetachesOnDrop,
    /// The probe of a new sandbox is not waited for.
    IgnoresReadiness,
    /// A change of policy that cannot be made is reported as made.
    OnlySaysPolicyChanged,
    /// The address of a port is one where nobody listens.
    MovesPorts,
    /// A dropped provision goes on, and nobody has its sandbox.
    ProvisionsOnDrop,
    /// The last piece of a stream is not there.
    LosesTheLastPiece,
    /// A stream begins at the beginning whatever offset was asked for.
    IgnoresFileOffset,
    /// A stream goes on with another file under the same name.
    MixesVersions,
    /// A file shows before its stream is complete.
    ShowsWhatIsNotComplete,
    /// A stream that fails is taken for one that ends.
    CompletesWhatFailed,
    /// Modes are not looked at.
    IgnoresModes,
    /// Times are not looked at.
    IgnoresTimes,
    /// A link becomes a file.
    ResolvesLinks,
    /// Removals are not told.
    HidesRemovals,
    /// Directories below are not watched.
    WatchesOneLevel,
    /// Directories below are watched without being asked for.
    WatchesAllLevels,
    /// Everything is told.
    IgnoresFilter,
    /// A watch does not end at its time.
    WatchesForEver,
}

/// How a behaviour notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It sees something wrong.
    Sees,
    /// It waits until its deadline for what a good provider does soon.
    Waits,
}

/// A fault, the promise that it breaks, the behaviours that must notice, and how.
pub(crate) type Breach = (Fault, &'static str, &'static str, Notice);

/// Every fault.
pub(crate) const BREACHES: [Breach; 48] = [
    (JoinsArguments, "G1", "g1_", Notice::Sees),
    (ReplacesBytes, "G2", "g2_output_is_bytes", Notice::Sees),
    (IgnoresOffset, "G2", "g2_reading_goes_on", Notice::Sees),
    (DropsStderr, "G2", "m13_", Notice::Sees),
    (LosesDroppedReads, "G9", "g9_a_dropped_read", Notice::Sees),
    (AttachesTooLate, "G2", "g2_an_ended_command", Notice::Sees),
    (DoublesInput, "G2", "g2_a_repeated_write", Notice::Sees),
    (ExitBecomesError, "G3", "m13_", Notice::Sees),
    (ErrorBecomesExit, "G3", "m12_a_missing_program", Notice::Sees),
    (InspectFails, "G3", "m21_", Notice::Sees),
    (IgnoresKey, "G4", "g4_", Notice::Sees),
    (LeaksOnFailure, "G5", "m10_", Notice::Sees),
    (OnlySaysDestroyed, "G5", "m17_destroy_ends_the", Notice::Sees),
    (CollectsTheLiving, "G5", "g5_gc_", Notice::Sees),
    (CollectsTheDetached, "G5", "g5_gc_", Notice::Sees),
    (DropsWhatItCannot, "G6", "g6_every_unclaimed_field_of_a_spec", Notice::Sees),
    (HidesAClaim, "G6", "g6_every_unclaimed_field_of_a_spec", Notice::Sees),
    (ClaimsTooMuch, "G6", "m29_metrics", Notice::Sees),
    (IgnoresCwd, "G6", "m14_a_working_directory", Notice::Sees),
    (IgnoresPidsLimit, "G6", "g6_a_pids_limit", Notice::Sees),
    (DropsTerminal, "G6", "m12_a_terminal_is_given", Notice::Sees),
    (IgnoresResize, "G6", "m12_a_terminal_is_resized", Notice::Sees),
    (IgnoresReadiness, "G6", "m04_a_readiness", Notice::Sees),
    (OnlySaysPolicyChanged, "G6", "g6_a_change_of_policy", Notice::Sees),
    (MovesPorts, "G6", "m28_a_published_port", Notice::Sees),
    (IgnoresReadOnly, "G6", "m04_a_read_only_volume", Notice::Sees),
    (AddsTags, "G6", "m20_tags_that_are_set", Notice::Sees),
    (HidesTimeout, "G7", "m15_a_timeout_kills", Notice::Sees),
    (HidesMemoryKill, "G7", "g7_a_memory_kill", Notice::Sees),
    (HidesSandboxEnd, "G7", "g7_the_end_of_the_sandbox", Notice::Sees),
    (ShowsVariables, "G8", "g8_variables_do_not_show_in_errors", Notice::Sees),
    (DetachesOnDrop, "G9", "g9_a_dropped_run", Notice::Waits),
    (ProvisionsOnDrop, "G9", "g9_a_dropped_provision", Notice::Waits),
    (LosesTheLastPiece, "G2", "m27_a_stream_that_is_read", Notice::Sees),
    (LosesTheLastPiece, "G2", "m27_a_stream_that_is_written", Notice::Sees),
    (IgnoresFileOffset, "G2", "m27_a_stream_that_is_read", Notice::Sees),
    (MixesVersions, "G2", "m27_a_file_that_is_replaced", Notice::Sees),
    (ShowsWhatIsNotComplete, "G2", "m27_a_stream_shows", Notice::Sees),
    (ShowsWhatIsNotComplete, "G9", "m27_a_stream_that_is_dropped", Notice::Sees),
    (CompletesWhatFailed, "G3", "m27_a_stream_that_fails", Notice::Sees),
    (IgnoresModes, "G6", "m27_modes_", Notice::Sees),
    (IgnoresTimes, "G6", "m27_times_", Notice::Sees),
    (ResolvesLinks, "G6", "m27_links_are_made", Notice::Sees),
    (HidesRemovals, "G2", "m27_changes_are_told", Notice::Sees),
    (WatchesOneLevel, "G6", "m27_new_directories", Notice::Sees),
    (WatchesAllLevels, "G6", "m27_only_the_watched", Notice::Sees),
    (IgnoresFilter, "G6", "m27_a_filter", Notice::Sees),
    (WatchesForEver, "G7", "m27_a_watch_ends_at", Notice::Waits),
];
