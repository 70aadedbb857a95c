//! The file `~/.modal.toml`: one section per profile.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use crate::secret::Secret;

/// One section of the file. Keys that only other clients use are read over.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Profile {
    pub(super) server_url: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) token_id: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) token_secret: Option<Secret>,
    pub(super) environment: Option<String>,
    pub(super) image_builder_version: Option<String>,
    pub(super) sandbox_v2: Option<Flag>,
    pub(super) max_throttle_wait: Option<u64>,
    pub(super) sandbox_channel_idle_timeout: Option<u64>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) oauth_refresh_token: Option<Secret>,
    #[serde(default)]
    active: bool,
}

/// A switch that files spell as a boolean or as text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    /// Reads the switch: empty, `0` and `false` mean off, as in Modal's own clients.
    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Bool(on) => *on,
            Self::Text(text) => !matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "false"),
        }
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

/// Reads a file's sections; a file that does not exist has none.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, Profile>, Error> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::config(format!("cannot read {}", file.display())).with_source(error)),
    };
    parse(&text).map_err(|reason| Error::config(format!("{} is malformed: {reason}", file.display())))
}

/// Parses a file's text. The parser's own message quotes the line at fault, which may hold a token: it is not shown.
fn parse(text: &str) -> Result<BTreeMap<String, Profile>, String> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("check line {line}; a section per profile with quoted values is expected")
    })
}

/// Chooses the section: the named one, else the active one, else the one called `default`, else none.
///
/// # Errors
/// A named section that is missing, or more than one active section.
pub(super) fn choose(
    sections: &BTreeMap<String, Profile>,
    name: Option<&str>,
) -> Result<Option<Profile>, Error> {
    if let Some(name) = name {
        let found = sections.get(name).cloned();
        return found
            .map(Some)
            .ok_or_else(|| Error::config(format!("profile {name:?} is not in the profile file")));
    }
    let mut active = sections.iter().filter(|(_, section)| section.active);
    let first = active.next();
    match (first, active.next()) {
        (Some((one, _)), Some((two, _))) => {
            Err(Error::config(format!("profiles {one:?} and {two:?} are both active; keep one of them")))
        }
        (Some((_, section)), None) => Ok(Some(section.clone())),
        (None, _) => Ok(sections.get("default").cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[work]\ntoken_id = \"ak-1\"\ntoken_secret = \"as-1\"\nactive = true\nloglevel = \"DEBUG\"\n\n\
                        [home]\ntoken_id = \"ak-2\"\nsandbox_v2 = \"false\"\n";

    #[test]
    fn the_named_section_wins_over_the_active_one() {
        let sections = parse(FILE).unwrap();
        let home = choose(&sections, Some("home")).unwrap().unwrap();
        assert_eq!(home.token_id.unwrap().reveal(), "ak-2");
        assert!(!home.sandbox_v2.unwrap().is_on());
        let work = choose(&sections, None).unwrap().unwrap();
        assert_eq!(work.token_secret.unwrap().reveal(), "as-1");
        assert!(choose(&sections, Some("none")).is_err());
    }

    #[test]
    fn no_active_section_is_no_section_and_two_are_an_error() {
        assert!(choose(&parse("[a]\n[b]\n").unwrap(), None).unwrap().is_none());
        assert!(choose(&parse("[a]\n[default]\n").unwrap(), None).unwrap().is_some());
        assert!(choose(&parse("[a]\nactive = true\n[b]\nactive = true\n").unwrap(), None).is_err());
    }

    #[test]
    fn a_malformed_file_does_not_show_its_token() {
        let reason = parse("[a]\ntoken_secret = \"as-hunter2\nx = 1\n").unwrap_err();
        assert!(reason.contains("line 2") && !reason.contains("hunter2"), "{reason}");
    }
}
