//! What was measured, reduced to medians and printed.

use super::contender::{ALL, Contender, Found};

/// One row: an operation and its samples per contender.
#[derive(Debug)]
pub(super) struct Row {
    title: &'static str,
    samples: [Samples; ALL.len()],
}

/// The samples of one contender.
#[derive(Debug, Default)]
struct Samples {
    wall_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    peak_kib: Vec<f64>,
    growth_kib: Vec<f64>,
}

/// Medians of one contender in one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Wall time of one repetition, in milliseconds.
    pub(super) wall_ms: f64,
    /// CPU time of one repetition, in milliseconds.
    pub(super) cpu_ms: f64,
    /// Peak memory of the process, in MiB.
    pub(super) peak_mib: f64,
    /// That peak over what was there before the operation, in MiB.
    pub(super) growth_mib: f64,
}

impl Row {
    /// A row without samples.
    pub(super) fn new(title: &'static str) -> Self {
        Self { title, samples: Default::default() }
    }

    /// Adds what one run of a contender found.
    pub(super) fn push(&mut self, who: Contender, found: Found) {
        let samples = &mut self.samples[column(who)];
        samples.wall_ms.extend(found.wall_ms);
        samples.cpu_ms.push(found.cpu_ms);
        samples.peak_kib.push(found.peak_kib);
        samples.growth_kib.push(found.peak_kib - found.before_kib);
    }

    /// The medians of a contender.
    pub(super) fn cell(&self, who: Contender) -> Cell {
        let samples = &self.samples[column(who)];
        Cell {
            wall_ms: median(&samples.wall_ms),
            cpu_ms: median(&samples.cpu_ms),
            peak_mib: median(&samples.peak_kib) / 1024.0,
            growth_mib: median(&samples.growth_kib) / 1024.0,
        }
    }

    /// Prints one line per contender: medians, and how many times ours they are.
    pub(super) fn print(&self) {
        println!("{}", self.title);
        let ours = self.cell(Contender::Rust);
        for who in ALL {
            let cell = self.cell(who);
            let mut line = format!("  {:18}", who.name());
            for (value, own) in
                [(cell.wall_ms, ours.wall_ms), (cell.cpu_ms, ours.cpu_ms), (cell.peak_mib, ours.peak_mib)]
            {
                line.push_str(&format!(" {value:10.2} {:>8}", format!("x{:.2}", value / own)));
            }
            println!("{line} {:10.1}", cell.growth_mib);
        }
    }
}

/// Prints what the columns are.
pub(super) fn print_head() {
    let [wall, cpu, peak, ratio] = ["wall ms", "CPU ms", "peak MiB", "ratio"];
    println!(
        "{:20} {wall:>10} {ratio:>8} {cpu:>10} {ratio:>8} {peak:>10} {ratio:>8} {:>10}",
        "", "grown MiB"
    );
}

fn column(who: Contender) -> usize {
    ALL.iter().position(|known| *known == who).expect("every contender is in the list of all")
}

/// The middle value; of an even number the upper of the two. NaN of none, which misses every goal.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_the_median_of_the_runs() {
        let mut row = Row::new("row");
        for (wall, peak) in [(3.0, 4096.0), (1.0, 2048.0), (2.0, 3072.0)] {
            row.push(
                Contender::Python,
                Found { wall_ms: vec![wall], cpu_ms: wall, before_kib: 1024.0, peak_kib: peak },
            );
        }
        let cell = row.cell(Contender::Python);
        assert_eq!((cell.wall_ms, cell.cpu_ms, cell.peak_mib, cell.growth_mib), (2.0, 2.0, 3.0, 2.0));
        assert!(row.cell(Contender::Rust).wall_ms.is_nan());
    }
}
