//! The OpenLattice contract: compute nodes through one trait.
