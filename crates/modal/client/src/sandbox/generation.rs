//! The two generations of sandboxes, told apart by the shape of the id.

/// A generation of sandboxes. Both do the same here; their calls have different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// The first one; sandboxes with a GPU are of it.
    V1,
    /// The second one, the default.
    V2,
}

impl Generation {
    /// Reads the generation off an id: `sb-` and exactly 22 letters and digits is V1 (protocol section 0.3).
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        let rest = id.strip_prefix("sb-").unwrap_or_default();
        if rest.len() == 22 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Self::V1
        } else {
            Self::V2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_tells_the_generation() {
        assert_eq!(Generation::of_id("sb-0123456789abcdefghijAB"), Generation::V1);
        for id in
            ["sb-0123456789abcdefghijABC", "sb-0123456789abcdefghijA", "sb-0123456789abcdefghijA_", "x", ""]
        {
            assert_eq!(Generation::of_id(id), Generation::V2, "{id}");
        }
    }
}
