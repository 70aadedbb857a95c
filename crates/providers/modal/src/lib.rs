//! The OpenLattice contract over Modal sandboxes.
