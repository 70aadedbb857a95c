//! The id range of a store: which host ids its sandboxes' ids are.

/// Host id of id 0 inside.
pub(crate) const BASE: u32 = 1_000_000;
/// How many ids the workload has.
pub(crate) const COUNT: u32 = 65_536;
/// What an id outside the range shows as inside (`/proc/sys/kernel/overflowuid`'s default).
const OVERFLOW: u32 = 65_534;

/// The id inside of a host id.
pub(crate) fn inside(host: u32) -> u32 {
    host.checked_sub(BASE).filter(|id| *id < COUNT).unwrap_or(OVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_the_range_show_as_nobody() {
        assert_eq!(inside(BASE), 0);
        assert_eq!(inside(BASE + COUNT - 1), COUNT - 1);
        assert_eq!(inside(BASE + COUNT), OVERFLOW);
        assert_eq!(inside(0), OVERFLOW);
    }
}
