//! Why an agent did not do what was asked.

use crate::error::{Error, ErrorKind};
use rustix::io::Errno;
use std::{error, fmt, io};

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The agent says so.
    Agent {
        /// Cause.
        errno: Errno,
        /// One of the `stage` numbers.
        stage: u32,
    },
    /// It could not be asked.
    Local(io::Error),
    /// It ended, or dropped us, before it answered.
    HungUp,
    /// No answer in time.
    Silent,
    /// An answer that makes no sense.
    Nonsense,
    /// It is of a version that does not know what is asked.
    Old,
}

impl Refusal {
    /// Whether the cause is `errno`.
    pub(crate) fn is(&self, errno: Errno) -> bool {
        match self {
            Self::Agent { errno: found, .. } => *found == errno,
            Self::Local(error) => error.raw_os_error() == Some(errno.raw_os_error()),
            _ => false,
        }
    }

    /// A failed transfer: the agent's end looks like any of these.
    pub(super) fn lost(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => {
                Self::HungUp
            }
            _ => Self::Local(error),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { errno, stage } => {
                write!(f, "the agent failed at stage {stage}: {}", io::Error::from(*errno))
            }
            Self::Local(error) => write!(f, "the agent could not be asked: {error}"),
            Self::HungUp => f.write_str("the agent hung up: the sandbox has ended"),
            Self::Silent => f.write_str("the agent did not answer in time"),
            Self::Nonsense => f.write_str("the agent's answer makes no sense"),
            Self::Old => f.write_str("the agent is of a version that cannot do it"),
        }
    }
}

impl error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::HungUp => ErrorKind::FailedPrecondition,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, "the sandbox's agent did not do what was asked").with_source(refusal)
    }
}
