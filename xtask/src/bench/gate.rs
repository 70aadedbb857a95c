//! The goals: ratios within one run, so that the speed of the machine does not matter, and a bound on memory.

use super::client::Rows;
use super::contender::Contender::{JavaScript, Python, Rust};

/// How much the memory may grow by output that is thrown away, in MiB: the flow-control window, a sixteenth of the output.
const FLAT: f64 = 64.0;

/// A goal: a value that must not be above a bound.
#[derive(Debug)]
pub(super) struct Gate {
    name: &'static str,
    value: f64,
    bound: f64,
}

/// All goals of the client, with what was measured.
pub(super) fn all(rows: &Rows) -> Vec<Gate> {
    let gate = |name, value, bound| Gate { name, value, bound };
    let [exec, output, write, many] = [&rows.exec, &rows.output, &rows.write, &rows.many]
        .map(|row| [Rust, Python, JavaScript].map(|who| row.cell(who)));
    vec![
        gate("exec: wall / JavaScript's", exec[0].wall_ms / exec[2].wall_ms, 0.5),
        gate("exec: CPU / Python's", exec[0].cpu_ms / exec[1].cpu_ms, 0.1),
        gate("1 GiB of output: wall / JavaScript's", output[0].wall_ms / output[2].wall_ms, 1.0),
        gate("1 GiB of output: CPU / JavaScript's", output[0].cpu_ms / output[2].cpu_ms, 1.0 / 3.0),
        gate("1 GiB of output: CPU / Python's", output[0].cpu_ms / output[1].cpu_ms, 0.2),
        gate("1 GiB of output: memory grown by, MiB", output[0].growth_mib, FLAT),
        gate("256 MiB write: wall / JavaScript's", write[0].wall_ms / write[2].wall_ms, 0.5),
        gate(
            "100 execs at once: wall / the better's",
            many[0].wall_ms / many[1].wall_ms.min(many[2].wall_ms),
            0.5,
        ),
    ]
}

impl Gate {
    /// Prints it and says whether it is met. NaN, from a run without samples, is not.
    pub(super) fn print(&self) -> bool {
        let met = self.value <= self.bound;
        let word = if met { "met" } else { "MISSED" };
        println!("  {word:6}  {:40} {:8.3}  (at most {:.3})", self.name, self.value, self.bound);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_without_samples_is_missed() {
        let missed = all(&Rows::default()).iter().filter(|gate| !gate.print()).count();
        assert_eq!(missed, 8);
    }
}
