//! What participants do.

mod kept;
mod sandboxes;

use super::participant::Participant;

type Step = fn(&mut Participant<'_>);

/// Each step and how often it is taken.
const STEPS: [(u64, Step); 22] = [
    (12, sandboxes::create),
    (12, sandboxes::write),
    (12, sandboxes::read),
    (5, sandboxes::copy_in),
    (5, sandboxes::copy_out),
    (5, sandboxes::much_output),
    (6, sandboxes::list),
    (3, sandboxes::by_name),
    (8, sandboxes::inspect),
    (4, sandboxes::tag),
    (4, sandboxes::is_gone),
    (9, sandboxes::remove),
    (5, sandboxes::run),
    (4, kept::snapshot),
    (5, kept::run_image),
    (3, kept::remove_image),
    (2, kept::list_images),
    (3, kept::create_volume),
    (4, kept::write_volume),
    (4, kept::read_volume),
    (2, kept::remove_volume),
    (2, kept::collect),
];

/// The sum of how often they are taken.
pub(super) const WEIGHT: u64 = {
    let (mut sum, mut at) = (0, 0);
    while at < STEPS.len() {
        sum += STEPS[at].0;
        at += 1;
    }
    sum
};

/// Takes the step of a number below [`WEIGHT`].
pub(super) fn take(participant: &mut Participant<'_>, mut number: u64) {
    for (weight, step) in STEPS {
        if number < weight {
            return step(participant);
        }
        number -= weight;
    }
}
