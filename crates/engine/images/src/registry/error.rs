//! Why an image was not pulled.

use std::io;

use super::reference::Reference;
use crate::archive::ImportError;
use crate::error::FileError;

/// Why an image was not pulled. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry has no such image.
    #[error("the registry has no image {reference}")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// The registry wants other credentials, or any.
    #[error("the registry of {reference} refuses {}", if *given { "these credentials" } else { "a pull without credentials: the image does not exist, or needs some" })]
    Unauthenticated {
        /// What was asked for.
        reference: String,
        /// Whether credentials were given.
        given: bool,
    },
    /// The credentials are good and do not allow it.
    #[error("the registry does not allow these credentials to pull {reference}")]
    Denied {
        /// What was asked for.
        reference: String,
    },
    /// The registry cannot be reached, broke off, or says that it cannot serve now.
    #[error("cannot reach the registry at {host}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What happened.
        source: io::Error,
    },
    /// The registry answers what no registry should.
    #[error("the registry at {host} {reason}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What is wrong with its answer.
        reason: String,
    },
    /// What the registry gave is no image that can be used here.
    #[error(transparent)]
    Image(#[from] ImportError),
    /// The layer store could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl PullError {
    /// By the status of an answer that is no success; a status that calls for credentials is answered before.
    pub(super) fn of_status(
        status: http::StatusCode,
        reference: &Reference,
        given: bool,
        host: String,
    ) -> Self {
        let reference = reference.to_string();
        match status.as_u16() {
            401 => Self::Unauthenticated { reference, given },
            403 if given => Self::Denied { reference },
            403 => Self::Unauthenticated { reference, given },
            404 => Self::NotFound { reference },
            429 | 500..=599 => {
                Self::Unreachable { host, source: io::Error::other(format!("it answered {status}")) }
            }
            _ => Self::Protocol { host, reason: format!("answered {status}") },
        }
    }
}
