//! The id range of a store.

/// The host ids that a store's images and sandboxes use.
///
/// Guest id `n` is host id `base + n` for `n` below `count`; user and group ids share the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IdRange {
    /// Host id of guest id 0.
    pub base: u32,
    /// How many ids there are.
    pub count: u32,
}

impl IdRange {
    /// Translates a guest id to the host's, or nothing when the range does not hold it.
    #[must_use]
    pub fn host(self, guest: u64) -> Option<u32> {
        let guest = u32::try_from(guest).ok().filter(|&id| id < self.count)?;
        self.base.checked_add(guest)
    }
}

#[cfg(test)]
mod tests {
    use super::IdRange;

    #[test]
    fn translates_inside_the_range_only() {
        let range = IdRange { base: 1_000_000, count: 65_536 };
        assert_eq!(range.host(0), Some(1_000_000));
        assert_eq!(range.host(65_535), Some(1_065_535));
        assert_eq!(range.host(65_536), None);
        assert_eq!(range.host(u64::from(u32::MAX) + 1), None);
        assert_eq!(IdRange { base: u32::MAX, count: 2 }.host(1), None);
    }
}
