//! Pseudo-random numbers that a seed repeats.

/// A generator (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The generator of one participant.
    pub(super) fn new(seed: u64, participant: u64) -> Self {
        Self(seed ^ participant.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(u64::try_from(from.len()).ok()?.max(1));
        from.get(usize::try_from(at).ok()?)
    }

    /// A word of 16 digits.
    pub(super) fn token(&mut self) -> String {
        format!("{:016x}", self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_participants_differ() {
        let draw = |seed, participant| {
            let mut random = Random::new(seed, participant);
            [random.token(), random.below(7).to_string(), random.chance(50).to_string()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1)[0], draw(7, 2)[0]);
        assert!(Random::new(1, 1).pick::<u8>(&[]).is_none());
    }
}
