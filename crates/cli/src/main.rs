//! The command line `lattice`.
fn main() {}
