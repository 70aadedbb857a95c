//! Work on trees of files by descriptor, never following a link.

pub(crate) mod attributes;
pub(crate) mod beneath;
pub(crate) mod data;
pub(crate) mod remove;
