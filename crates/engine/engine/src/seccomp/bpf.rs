//! Classic BPF instructions, as far as a seccomp filter needs them (`linux/bpf_common.h`).

/// Loads the 32-bit word at offset `k` of `struct seccomp_data`.
const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) k: u32,
}

/// Offset of the call number in `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
/// Offset of the architecture.
pub(super) const ARCH: u32 = 4;

/// Offset of the low half of argument `index` on a little-endian machine.
pub(super) fn argument(index: u32) -> u32 {
    16 + 8 * index
}

impl Instruction {
    pub(super) fn load(offset: u32) -> Self {
        Self { code: LOAD_WORD, if_true: 0, if_false: 0, k: offset }
    }

    pub(super) fn ret(value: u32) -> Self {
        Self { code: RETURN, if_true: 0, if_false: 0, k: value }
    }

    pub(super) fn jump(distance: u32) -> Self {
        Self { code: JUMP, if_true: 0, if_false: 0, k: distance }
    }

    pub(super) fn if_equal(k: u32, if_true: u8, if_false: u8) -> Self {
        Self { code: JUMP_IF_EQUAL, if_true, if_false, k }
    }

    pub(super) fn if_at_least(k: u32, if_true: u8, if_false: u8) -> Self {
        Self { code: JUMP_IF_AT_LEAST, if_true, if_false, k }
    }

    pub(super) fn if_any_bit(k: u32, if_true: u8, if_false: u8) -> Self {
        Self { code: JUMP_IF_ANY_BIT, if_true, if_false, k }
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.k.to_ne_bytes();
        [c0, c1, self.if_true, self.if_false, k0, k1, k2, k3]
    }
}

/// Runs a filter as the kernel does, for tests.
#[cfg(test)]
pub(super) fn run(program: &[Instruction], number: u32, arch: u32, arguments: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        NUMBER => number,
        ARCH => arch,
        16.. => {
            let argument = arguments[usize::try_from((offset - 16) / 8).expect("small")];
            let half = if (offset - 16).is_multiple_of(8) { argument } else { argument >> 32 };
            u32::try_from(half & 0xffff_ffff).expect("masked")
        }
        _ => panic!("load of {offset}"),
    };
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let step = program[at];
        at += 1;
        let taken = match step.code {
            LOAD_WORD => {
                accumulator = word(step.k);
                continue;
            }
            0x54 => {
                accumulator &= step.k;
                continue;
            }
            JUMP => {
                at += step.k as usize;
                continue;
            }
            RETURN => return step.k,
            JUMP_IF_EQUAL => accumulator == step.k,
            JUMP_IF_AT_LEAST => accumulator >= step.k,
            0x25 => accumulator > step.k,
            JUMP_IF_ANY_BIT => accumulator & step.k != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if taken { step.if_true } else { step.if_false });
    }
}
