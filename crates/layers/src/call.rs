//! The calls that a layer sees.

use std::fmt;

/// Names a call of a provider, of a command's session or of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Whether the provider answers.
    Health,
    /// Making a sandbox.
    Provision,
    /// Describing a sandbox.
    Inspect,
    /// Listing sandboxes.
    List,
    /// Starting a command.
    Exec,
    /// Following a command that was started earlier.
    Attach,
    /// Keeping a sandbox's state.
    Snapshot,
    /// Making a sandbox from a snapshot.
    Restore,
    /// Ending a sandbox.
    Destroy,
    /// Holding a sandbox.
    Pause,
    /// Releasing a sandbox.
    Resume,
    /// Starting a sandbox again.
    Restart,
    /// Opening the output of a sandbox's main process.
    Logs,
    /// Ending the sandboxes whose owner is gone.
    Gc,
    /// Waiting for the next piece of output.
    ReadOutput,
    /// Writing to a command's input.
    WriteStdin,
    /// Closing a command's input.
    CloseStdin,
    /// Asking how much input was accepted.
    StdinStatus,
    /// Waiting for a command's end.
    Wait,
    /// Asking whether a command has ended.
    Poll,
    /// Sending a signal to a command.
    Kill,
    /// Changing the size of a terminal.
    Resize,
    /// Reading a file.
    ReadFile,
    /// Writing a file.
    WriteFile,
    /// Opening a file to read it by pieces.
    OpenFile,
    /// Waiting for the next piece of a file.
    ReadFilePiece,
    /// Writing a file by pieces.
    StreamFile,
    /// Beginning to follow changes of files.
    WatchFiles,
    /// Waiting for the next change of a file.
    NextFileEvent,
    /// Making a symbolic link.
    MakeLink,
    /// Setting permission bits.
    SetMode,
    /// Setting the time of the last change.
    SetModified,
    /// Listing a directory.
    ListFiles,
    /// Describing a path.
    StatFile,
    /// Making a directory.
    MakeDirectory,
    /// Removing a path.
    RemoveFile,
    /// Asking for the address of a port.
    PortUrl,
    /// Asking for the addresses of all ports.
    ListPorts,
    /// Changing what a sandbox may reach.
    SetPolicy,
    /// Measuring a sandbox.
    Usage,
    /// Reading a sandbox's labels.
    GetTags,
    /// Replacing a sandbox's labels.
    SetTags,
    /// Making a volume.
    CreateVolume,
    /// Listing volumes.
    ListVolumes,
    /// Removing a volume.
    RemoveVolume,
}

impl Call {
    /// Lists every call.
    pub const ALL: &[Self] = &[
        Self::Health,
        Self::Provision,
        Self::Inspect,
        Self::List,
        Self::Exec,
        Self::Attach,
        Self::Snapshot,
        Self::Restore,
        Self::Destroy,
        Self::Pause,
        Self::Resume,
        Self::Restart,
        Self::Logs,
        Self::Gc,
        Self::ReadOutput,
        Self::WriteStdin,
        Self::CloseStdin,
        Self::StdinStatus,
        Self::Wait,
        Self::Poll,
        Self::Kill,
        Self::Resize,
        Self::ReadFile,
        Self::WriteFile,
        Self::OpenFile,
        Self::ReadFilePiece,
        Self::StreamFile,
        Self::WatchFiles,
        Self::NextFileEvent,
        Self::MakeLink,
        Self::SetMode,
        Self::SetModified,
        Self::ListFiles,
        Self::StatFile,
        Self::MakeDirectory,
        Self::RemoveFile,
        Self::PortUrl,
        Self::ListPorts,
        Self::SetPolicy,
        Self::Usage,
        Self::GetTags,
        Self::SetTags,
        Self::CreateVolume,
        Self::ListVolumes,
        Self::RemoveVolume,
    ];

    /// Returns the call's name in words, such as `read output`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Provision => "provision",
            Self::Inspect => "inspect",
            Self::List => "list",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Destroy => "destroy",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Logs => "logs",
            Self::Gc => "gc",
            Self::ReadOutput => "read output",
            Self::WriteStdin => "write stdin",
            Self::CloseStdin => "close stdin",
            Self::StdinStatus => "stdin status",
            Self::Wait => "wait",
            Self::Poll => "poll",
            Self::Kill => "kill",
            Self::Resize => "resize",
            Self::ReadFile => "read file",
            Self::WriteFile => "write file",
            Self::OpenFile => "open file",
            Self::ReadFilePiece => "read file piece",
            Self::StreamFile => "stream file",
            Self::WatchFiles => "watch files",
            Self::NextFileEvent => "next file event",
            Self::MakeLink => "make link",
            Self::SetMode => "set mode",
            Self::SetModified => "set modified",
            Self::ListFiles => "list files",
            Self::StatFile => "stat file",
            Self::MakeDirectory => "make directory",
            Self::RemoveFile => "remove file",
            Self::PortUrl => "port url",
            Self::ListPorts => "list ports",
            Self::SetPolicy => "set policy",
            Self::Usage => "usage",
            Self::GetTags => "get tags",
            Self::SetTags => "set tags",
            Self::CreateVolume => "create volume",
            Self::ListVolumes => "list volumes",
            Self::RemoveVolume => "remove volume",
        }
    }

    /// Says whether the call belongs to a command's session or one of its readers.
    pub fn is_of_session(self) -> bool {
        (Self::ReadOutput..=Self::Resize).contains(&self)
    }

    /// Says whether the call goes on with what an earlier one opened: a file's pieces, or a watch's events.
    pub fn is_of_stream(self) -> bool {
        matches!(self, Self::ReadFilePiece | Self::NextFileEvent)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
