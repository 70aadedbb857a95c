//! Text that must not be shown, and environments made of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Holds text that Debug and Display do not show.
///
/// Serialising it writes the text, because a spec that is stored in a file must come back whole; so a spec with
/// secrets belongs into files that only its owner reads, and never into a log.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself; the caller must not show it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Says whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Reads a string; the error for anything else does not quote the value, unlike a derived one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("expected a string for a hidden value")),
        }
    }
}

/// Reads a field that may hold hidden values, wherever the caller put them; the error for another shape quotes none of them.
pub(crate) fn read_hidden<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<T, D::Error> {
    let value = Value::deserialize(from)?;
    T::deserialize(&value).map_err(|error| D::Error::custom(without_values(error.to_string(), &value)))
}

/// Takes the values of a document out of a parser's complaint about it; names of fields stay.
pub(crate) fn without_values(complaint: String, document: &Value) -> String {
    match document {
        // Texts and numbers stand in quotation marks there, and names that no enumeration knows in back quotes.
        Value::String(text) => {
            complaint.replace(&format!("{text:?}"), "<hidden>").replace(&format!("`{text}`"), "<hidden>")
        }
        Value::Number(number) => complaint.replace(&format!("`{number}`"), "<hidden>"),
        Value::Array(items) => items.iter().fold(complaint, without_values),
        Value::Object(fields) => fields.values().fold(complaint, without_values),
        Value::Null | Value::Bool(_) => complaint,
    }
}

/// Holds environment variables; Debug shows their names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Env(BTreeMap<String, Secret>);

impl Env {
    /// Returns an environment without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one variable, replacing an earlier value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns the value of a variable; the caller must not show it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    /// Lists names and values, ordered by name; the caller must not show the values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// Lists the names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Says whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts the variables.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes over all variables of another environment, which win over the present ones.
    pub fn extend_with(&mut self, other: &Self) {
        self.0.extend(other.0.clone());
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_hidden(deserializer).map(Self)
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<Secret>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Says where secret environment variables come from.
///
/// Where several name the same variable, [`Values`](Self::Values) win over [`Named`](Self::Named) ones, wherever they stand in the list;
/// among those of one kind the later wins. Both win over plain variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SecretSource {
    /// A secret that the provider stores under this name.
    Named(String),
    /// The variables themselves, kept by the provider as it keeps secrets.
    Values(Env),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_shows_in_debug_or_display() {
        let secret = Secret::new("tskey-1");
        let env: Env = [("TOKEN", "tskey-1")].into_iter().collect();
        let shown = format!("{secret} {secret:?} {env:?} {:?}", SecretSource::Values(env.clone()));
        assert!(!shown.contains("tskey"), "{shown}");
        assert!(shown.contains("TOKEN"), "{shown}");
    }

    #[test]
    fn a_wrong_type_is_refused_without_quoting_it() {
        let error = serde_json::from_str::<Env>(r#"{"A": 4711}"#).unwrap_err().to_string();
        assert!(!error.contains("4711"), "{error}");
        for json in [r#""hush""#, "4711", r#"["hush"]"#] {
            let error = serde_json::from_str::<Env>(json).unwrap_err().to_string();
            assert!(!error.contains("4711") && !error.contains("hush"), "{error}");
        }
    }
}
