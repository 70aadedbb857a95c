//! Ids in the shapes that Modal's clients look at.
//!
//! Clients derive a sandbox's generation from the shape of its id: `sb-` and exactly 22 base-62 characters is the first
//! one, anything else the second. A task id is the sandbox id in other clothes, so that no table is needed: `ta-` and
//! the same characters, with a final `V` for the second generation.

use openlattice_engine::SandboxId;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use tonic::Status;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FIRST_LENGTH: usize = 22;
const SECOND_LENGTH: usize = 26;

/// Which family of calls a sandbox was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// `SandboxCreate`.
    First,
    /// `SandboxCreateV2`.
    Second,
}

/// Makes an id for a sandbox of `generation`.
pub(crate) fn new_sandbox(generation: Generation) -> String {
    match generation {
        // A first-generation id that ends in V would give a task id that looks like the second's.
        Generation::First => loop {
            let id = format!("sb-{}", random(FIRST_LENGTH));
            if !id.ends_with('V') {
                return id;
            }
        },
        Generation::Second => format!("sb-{}", random(SECOND_LENGTH)),
    }
}

/// Makes an id with `prefix` (`ap`, `en`, `st`).
pub(crate) fn new(prefix: &str) -> String {
    format!("{prefix}-{}", random(FIRST_LENGTH))
}

/// The id that `content` always gets: `prefix` and 22 characters of its digest.
pub(crate) fn of_content(prefix: &str, content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let text: String = digest.iter().take(FIRST_LENGTH).map(|byte| letter(*byte % 62)).collect();
    format!("{prefix}-{text}")
}

/// The task id of a sandbox.
pub(crate) fn task_of(sandbox: &SandboxId) -> String {
    let text = sandbox.as_str().trim_start_matches("sb-");
    if text.len() == FIRST_LENGTH { format!("ta-{text}") } else { format!("ta-{text}V") }
}

/// The sandbox of a task id; `NOT_FOUND` for a text that is none.
pub(crate) fn sandbox_of(task: &str) -> Result<SandboxId, Status> {
    let unknown = || Status::not_found(format!("no task {task:?}"));
    let text = task.strip_prefix("ta-").ok_or_else(unknown)?;
    let text = if text.len() == FIRST_LENGTH { text } else { text.strip_suffix('V').unwrap_or(text) };
    SandboxId::parse(&format!("sb-{text}")).map_err(|_| unknown())
}

/// A sandbox id as a client sent it; `NOT_FOUND` for a text that cannot be one.
pub(crate) fn sandbox(text: &str) -> Result<SandboxId, Status> {
    SandboxId::parse(text).map_err(|_| Status::not_found(format!("no sandbox {text:?}")))
}

/// True for `prefix`, a dash and 22 letters or digits.
pub(crate) fn is_shaped(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| {
        rest.len() == FIRST_LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// `length` random letters and digits.
pub(crate) fn random(length: usize) -> String {
    let source = SystemRandom::new();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 32];
        source.fill(&mut bytes).expect("the kernel's random source answers");
        // 248 = 4 * 62: larger values would favour the first letters.
        let letters = bytes.iter().filter(|byte| **byte < 248).map(|byte| letter(byte % 62));
        text.extend(letters.take(length - text.len()));
    }
    text
}

fn letter(index: u8) -> char {
    char::from(ALPHABET[usize::from(index)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SandboxId {
        SandboxId::parse(text).unwrap()
    }

    #[test]
    fn shapes_tell_the_generation() {
        let first = new_sandbox(Generation::First);
        let second = new_sandbox(Generation::Second);
        assert!(is_shaped("sb", &first) && !first.ends_with('V'), "{first}");
        assert_eq!(second.len(), 29);
        assert!(!is_shaped("sb", &second), "{second}");
    }

    #[test]
    fn task_ids_lead_back_to_their_sandbox() {
        for generation in [Generation::First, Generation::Second] {
            let sandbox = parse(&new_sandbox(generation));
            let task = task_of(&sandbox);
            assert_eq!(task.ends_with('V'), generation == Generation::Second, "{task}");
            assert_eq!(sandbox_of(&task).unwrap(), sandbox);
        }
    }

    #[test]
    fn a_second_generation_id_that_ends_in_v_survives() {
        let sandbox = parse("sb-abcdefghijklmnopqrstuvwxyV");
        assert_eq!(sandbox_of(&task_of(&sandbox)).unwrap(), sandbox);
    }

    #[test]
    fn other_texts_are_no_task() {
        assert_eq!(sandbox_of("sb-1").unwrap_err().code(), tonic::Code::NotFound);
        assert_eq!(sandbox_of("ta-a b").unwrap_err().code(), tonic::Code::NotFound);
    }

    #[test]
    fn content_ids_repeat() {
        assert_eq!(of_content("im", b"x"), of_content("im", b"x"));
        assert_ne!(of_content("im", b"x"), of_content("im", b"y"));
        assert!(is_shaped("im", &of_content("im", b"x")));
    }
}
