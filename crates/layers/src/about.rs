//! What a layer is told of a call.

use openlattice::{ExecId, ExecSpec, OnDrop, ProvisionSpec, SandboxId};

use crate::Call;

/// Says whether doing a call twice is as good as doing it once.
///
/// This is about the call; whether a failure may be followed by another attempt is said by the error
/// ([`openlattice::Error::retry`]). Both must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// It is, also where the first time was cut off midway.
    Idempotent,
    /// It is, unless the first time was dropped midway: a command that is killed on dropping is not started anew.
    UnlessDropped,
    /// It is not: a second sandbox, command or snapshot would be made.
    Once,
}

/// Describes a call to a layer: its kind and subject, never its content.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The call.
    pub call: Call,
    /// The sandbox that it is about, where there is one already.
    pub sandbox: Option<&'a SandboxId>,
    /// The command that it is about, where it has an id already.
    pub exec: Option<&'a ExecId>,
    /// Whether it can be repeated.
    pub repeat: Repeat,
}

impl<'a> About<'a> {
    /// Describes an idempotent call that is about no sandbox.
    pub(crate) fn call(call: Call) -> Self {
        Self { call, sandbox: None, exec: None, repeat: Repeat::Idempotent }
    }

    /// Describes an idempotent call about a sandbox.
    pub(crate) fn sandbox(call: Call, sandbox: &'a SandboxId) -> Self {
        Self { sandbox: Some(sandbox), ..Self::call(call) }
    }

    /// Adds the command.
    pub(crate) fn exec(self, exec: Option<&'a ExecId>) -> Self {
        Self { exec, ..self }
    }

    /// Sets whether it can be repeated.
    pub(crate) fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Makes it a call that is done once, where the condition does not hold.
    pub(crate) fn once_unless(self, idempotent: bool) -> Self {
        if idempotent { self } else { self.repeat(Repeat::Once) }
    }
}

/// Says whether making this sandbox can be repeated: only with a caller's key.
pub(crate) fn of_provision(spec: &ProvisionSpec) -> Repeat {
    if spec.key.is_some() { Repeat::Idempotent } else { Repeat::Once }
}

/// Says whether starting this command can be repeated: only with a caller's id.
pub(crate) fn of_exec(spec: &ExecSpec) -> Repeat {
    match (&spec.options.exec_id, spec.options.on_drop) {
        (Some(_), OnDrop::Detach) => Repeat::Idempotent,
        (Some(_), OnDrop::Kill) => Repeat::UnlessDropped,
        (None, _) => Repeat::Once,
    }
}
