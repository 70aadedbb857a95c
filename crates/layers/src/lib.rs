//! Wrappers around an OpenLattice provider.
