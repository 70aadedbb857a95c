//! Medians and goals.

use std::time::Duration;

/// Measured values of one kind: milliseconds, or KiB.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds a time, kept in milliseconds.
    pub(crate) fn push(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1000.0);
    }

    /// Adds a value as it is.
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle value; of an even number the upper of the two. NaN of none, which misses every goal.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Prints smallest, median and 95th percentile.
    pub(crate) fn print(&self, name: &str) {
        let least = self.0.first().copied().unwrap_or(f64::NAN);
        let high = self.0.get(self.0.len() * 95 / 100).copied().unwrap_or(f64::NAN);
        println!("  {name:34} {least:8.2} {:8.2} {high:8.2}", self.median());
    }
}

/// A goal: a value that must not be above a bound.
#[derive(Debug)]
pub(crate) struct Gate {
    name: &'static str,
    value: f64,
    bound: f64,
}

impl Gate {
    /// States a goal.
    pub(crate) fn new(name: &'static str, value: f64, bound: f64) -> Self {
        Self { name, value, bound }
    }

    /// Prints it and says whether it is met.
    pub(crate) fn print(&self) -> bool {
        let met = self.value <= self.bound;
        let word = if met { "met" } else { "MISSED" };
        println!("  {word:6}  {:38} {:8.2}  (at most {})", self.name, self.value, self.bound);
        met
    }
}
