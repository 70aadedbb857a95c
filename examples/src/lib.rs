//! What the example programs share: their arguments, and the provider that these name.
//!
//! The programs are in `src/bin`; each takes `--provider local` (the default) or `--provider modal`:
//!
//! | program | what it shows |
//! |---|---|
//! | `tool-loop` | tool calls, as JSON lines, run as argument vectors in one node |
//! | `parallel-tests` | 20 tests, each in a node of its own, a bounded number of nodes at once |
//! | `fan-out` | one node is prepared and kept as a snapshot, from which many start |
//! | `gpu` | a node with a GPU: Modal has it, this machine refuses it by name |
//!
//! ```sh
//! cargo run -p openlattice-examples --bin tool-loop -- --scripted
//! ```

mod arguments;
mod open;

pub use arguments::Arguments;
pub use open::{explain, open, spec};

/// Compiles and runs the Rust code of the guides.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/from-typescript.md")]
    mod from_typescript {}
    #[doc = include_str!("../../docs/from-modal-python.md")]
    mod from_modal_python {}
}
