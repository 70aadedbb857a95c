//! From rules to a filter: a binary tree over ranges of call numbers that are treated alike.

use super::bpf::{ARCH, Instruction, NUMBER, argument};
use super::policy::{Action, Condition, Test};
use std::collections::BTreeMap;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

/// `AUDIT_ARCH_*` of `linux/audit.h` for the machine that this is compiled for.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE_ARCH: u32 = 0xc000_00b7;

/// Numbers above every call that the policy knows: answered like a kernel that lacks the call, so that programs fall back.
/// It takes in x32 calls too (bit 30 set).
const FIRST_UNKNOWN: u32 = 470;

/// Compiles; calls without a rule get EPERM, unknown ones ENOSYS, calls of another architecture kill the process.
pub(super) fn compile(rules: &BTreeMap<u32, Action>) -> Vec<Instruction> {
    let mut program = vec![
        Instruction::load(ARCH),
        Instruction::if_equal(NATIVE_ARCH, 1, 0),
        Instruction::ret(KILL_PROCESS),
        Instruction::load(NUMBER),
    ];
    program.extend(tree(&ranges(rules)));
    program
}

/// A first number and what is done from it on, up to the next range.
type Range = (u32, Action);

fn ranges(rules: &BTreeMap<u32, Action>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let denied = Action::Errno(libc::EPERM);
    for number in 0..FIRST_UNKNOWN {
        let action = rules.get(&number).unwrap_or(&denied);
        if ranges.last().is_none_or(|(_, last)| last != action) {
            ranges.push((number, action.clone()));
        }
    }
    ranges.push((FIRST_UNKNOWN, Action::Errno(libc::ENOSYS)));
    ranges
}

fn tree(ranges: &[Range]) -> Vec<Instruction> {
    if let [(_, action)] = ranges {
        return leaf(action);
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let (low, high) = (tree(left), tree(right));
    let mut code = Vec::with_capacity(low.len() + high.len() + 2);
    match u8::try_from(low.len()) {
        Ok(distance) => code.push(Instruction::if_at_least(right[0].0, distance, 0)),
        Err(_) => {
            let distance = u32::try_from(low.len()).expect("a filter has at most 4096 instructions");
            code.extend([Instruction::if_at_least(right[0].0, 0, 1), Instruction::jump(distance)]);
        }
    }
    code.extend(low);
    code.extend(high);
    code
}

fn leaf(action: &Action) -> Vec<Instruction> {
    match action {
        Action::Allow => vec![Instruction::ret(ALLOW)],
        Action::Errno(errno) => vec![errno_return(*errno)],
        Action::AllowIf(conditions) => {
            let mut code: Vec<Instruction> = conditions.iter().flat_map(allow_if).collect();
            code.push(errno_return(libc::EPERM));
            code
        }
    }
}

fn errno_return(errno: i32) -> Instruction {
    Instruction::ret(ERRNO | u32::try_from(errno).expect("an errno is positive"))
}

/// Returns ALLOW when all tests of the condition hold, else falls through behind its own end.
fn allow_if(condition: &Condition) -> Vec<Instruction> {
    let tests: Vec<[Instruction; 2]> = condition
        .0
        .iter()
        .enumerate()
        .map(|(index, test)| {
            let after = condition.0.len() - 1 - index;
            let miss = u8::try_from(2 * after + 1).expect("a condition has few tests");
            match *test {
                Test::Equals(arg, value) => {
                    [Instruction::load(argument(arg)), Instruction::if_equal(value, 0, miss)]
                }
                Test::NotEquals(arg, value) => {
                    [Instruction::load(argument(arg)), Instruction::if_equal(value, miss, 0)]
                }
                Test::NoBitOf(arg, mask) => {
                    [Instruction::load(argument(arg)), Instruction::if_any_bit(mask, miss, 0)]
                }
            }
        })
        .collect();
    tests.into_iter().flatten().chain([Instruction::ret(ALLOW)]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{bpf::run, policy::rules};
    use super::*;
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    const I386: u32 = 0x4000_0003;
    const OTHER: u32 = 0xc000_00f3;

    fn samples() -> Vec<[u64; 6]> {
        let words = [
            0u64,
            1,
            2,
            3,
            8,
            10,
            16,
            17,
            38,
            40,
            0x5401,
            0x5412,
            0x541c,
            0x5423,
            0x2_0000,
            0x2_0008,
            0x1000_0000,
            0x0002_0000,
            0x0100_0000,
            0xffff_ffff,
            0x1_0000_5412,
            0x1_0000_0010,
        ];
        words
            .iter()
            .flat_map(|&a| words.iter().map(move |&b| [a, b, if b == 16 { 9 } else { 0 }, 0, 0, 0]))
            .collect()
    }

    fn oracle() -> Vec<Instruction> {
        let rules = rules()
            .into_iter()
            .filter_map(|(number, action)| match action {
                Action::Allow => Some((i64::from(number), vec![])),
                Action::Errno(_) => None,
                Action::AllowIf(conditions) => {
                    Some((i64::from(number), conditions.iter().map(oracle_rule).collect()))
                }
            })
            .collect();
        let deny = SeccompAction::Errno(1);
        let arch = std::env::consts::ARCH.try_into().expect("an architecture that the oracle knows");
        let filter = SeccompFilter::new(rules, deny, SeccompAction::Allow, arch).expect("valid rules");
        let program: seccompiler::BpfProgram = filter.try_into().expect("compiles");
        program.iter().map(|i| Instruction { code: i.code, if_true: i.jt, if_false: i.jf, k: i.k }).collect()
    }

    fn oracle_rule(condition: &Condition) -> SeccompRule {
        let tests = condition.0.iter().map(|test| {
            let (arg, op, value) = match *test {
                Test::Equals(arg, value) => (arg, SeccompCmpOp::Eq, value),
                Test::NotEquals(arg, value) => (arg, SeccompCmpOp::Ne, value),
                Test::NoBitOf(arg, mask) => (arg, SeccompCmpOp::MaskedEq(u64::from(mask)), 0),
            };
            SeccompCondition::new(
                u8::try_from(arg).expect("small"),
                SeccompCmpArgLen::Dword,
                op,
                u64::from(value),
            )
            .expect("valid")
        });
        SeccompRule::new(tests.collect()).expect("valid")
    }

    #[test]
    fn agrees_with_the_oracle_on_every_number() {
        let (ours, oracle, samples) = (compile(&rules()), oracle(), samples());
        for number in 0..1024 {
            for arguments in &samples {
                let allowed = run(&ours, number, NATIVE_ARCH, *arguments) == ALLOW;
                let expected = run(&oracle, number, NATIVE_ARCH, *arguments) == ALLOW;
                assert_eq!(allowed, expected, "call {number} with {arguments:x?}");
            }
        }
    }

    #[test]
    fn kills_calls_of_other_architectures() {
        let program = compile(&rules());
        for number in 0..1024 {
            for arch in [I386, OTHER] {
                assert_eq!(run(&program, number, arch, [0; 6]), KILL_PROCESS);
            }
        }
    }

    #[test]
    fn knows_no_x32_and_no_unknown_calls() {
        let program = compile(&rules());
        let absent = errno_return(libc::ENOSYS).k;
        for number in 0..1024 {
            assert_eq!(run(&program, number | 0x4000_0000, NATIVE_ARCH, [0; 6]), absent);
            assert_eq!(run(&program, FIRST_UNKNOWN + number, NATIVE_ARCH, [0; 6]), absent);
        }
    }

    #[test]
    fn refuses_namespaces_and_terminal_injection() {
        let program = compile(&rules());
        let call = |number: libc::c_long, arguments| {
            run(&program, u32::try_from(number).expect("small"), NATIVE_ARCH, arguments)
        };
        let eperm = errno_return(libc::EPERM).k;
        for flag in
            [0x0002_0000u64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert_eq!(call(libc::SYS_clone, [flag | 17, 0, 0, 0, 0, 0]), eperm);
        }
        assert_eq!(call(libc::SYS_clone, [17, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(call(libc::SYS_clone3, [0; 6]), errno_return(libc::ENOSYS).k);
        for command in [0x5412u64, 0x541c, 0x5423, 0x7_0000_5412] {
            assert_eq!(call(libc::SYS_ioctl, [0, command, 0, 0, 0, 0]), eperm);
        }
        assert_eq!(call(libc::SYS_ioctl, [0, 0x5401, 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn refuses_socket_families_that_reach_out_of_the_namespace() {
        let program = compile(&rules());
        let socket = |family, protocol| {
            run(
                &program,
                u32::try_from(libc::SYS_socket).expect("small"),
                NATIVE_ARCH,
                [family, 3, protocol, 0, 0, 0],
            ) == ALLOW
        };
        assert!(socket(1, 0) && socket(2, 6) && socket(10, 17) && socket(16, 0));
        assert!(!socket(16, 9) && !socket(38, 0) && !socket(40, 0) && !socket(17, 3));
    }
}
