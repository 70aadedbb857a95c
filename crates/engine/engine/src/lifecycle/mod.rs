//! The life of a sandbox: one file per verb.

pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod gc;
mod output;
pub(crate) mod plan;
pub(crate) mod remove;
pub(crate) mod settle;
pub(crate) mod terminate;
pub(crate) mod tidy;
pub(crate) mod undo;
pub(crate) mod volumes;
pub(crate) mod wait;
