//! The behaviour suite that every OpenLattice provider passes.
