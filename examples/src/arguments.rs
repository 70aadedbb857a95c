//! The words after a program's name.

use std::error::Error;
use std::str::FromStr;

/// Holds the arguments that nobody has taken yet.
#[derive(Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Reads the arguments of this process, without the program's name.
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes a flag and says whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// Takes an option with its value, which without the option is `default`.
    ///
    /// # Errors
    /// When the value is missing or not of its type.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, Box<dyn Error>> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(default) };
        let text = self.0.get(at + 1).ok_or_else(|| format!("{name} needs a value"))?;
        let value = text.parse().map_err(|_| format!("{name} cannot be {text:?}"))?;
        self.0.drain(at..=at + 1);
        Ok(value)
    }

    /// Refuses what nobody has taken.
    ///
    /// # Errors
    /// Names the first such word.
    pub fn end(self) -> Result<(), Box<dyn Error>> {
        match self.0.first() {
            Some(word) => Err(format!("unknown argument {word:?}").into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_not_taken_is_refused() {
        let mut given = arguments(&["--fast", "--nodes", "3", "--odd"]);
        assert!(given.flag("--fast") && !given.flag("--slow"));
        assert_eq!(given.value("--nodes", 20).unwrap(), 3);
        assert_eq!(given.value("--at-once", 4).unwrap(), 4);
        assert!(given.end().unwrap_err().to_string().contains("--odd"));
    }

    #[test]
    fn a_value_that_is_missing_or_no_number_is_refused() {
        assert!(arguments(&["--nodes"]).value("--nodes", 1).is_err());
        assert!(arguments(&["--nodes", "many"]).value("--nodes", 1).is_err());
    }
}
