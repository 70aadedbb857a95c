//! The programs, run for real, and the Python code of the guides, against a server of this project.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says why it is skipped"
)]

mod guides;
mod place;
mod programs;
