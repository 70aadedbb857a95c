//! The OpenLattice contract over the local engine.
