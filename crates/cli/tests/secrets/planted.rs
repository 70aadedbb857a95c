//! The planted values, and where they must not be found.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What a value is, and whether the search is meant to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plant {
    TokenSecret,
    WrongTokenSecret,
    TailnetKey,
    Env,
    Secret,
    NamedSecret,
    RegistryPassword,
    Stdin,
    FileContent,
    /// Is put on purpose into each place that is searched: what does not find it proves nothing.
    Bait,
}

impl Plant {
    const ALL: [Self; 10] = [
        Self::TokenSecret,
        Self::WrongTokenSecret,
        Self::TailnetKey,
        Self::Env,
        Self::Secret,
        Self::NamedSecret,
        Self::RegistryPassword,
        Self::Stdin,
        Self::FileContent,
        Self::Bait,
    ];

    /// The name under which `cargo xtask test` hands over a value that it searches for in what every stage says.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::TokenSecret => Some("TOKEN_SECRET"),
            Self::TailnetKey => Some("TAILNET_KEY"),
            Self::Env => Some("ENV"),
            Self::Secret => Some("SECRET"),
            Self::RegistryPassword => Some("REGISTRY_PASSWORD"),
            _ => None,
        }
    }

    /// The value: plain text that a header, a variable and a file can hold.
    pub(crate) fn value(self) -> String {
        planted().iter().find(|value| value.plant == self).unwrap().text.clone()
    }
}

struct Value {
    plant: Plant,
    text: String,
    /// The value as it is, and as bytes that somebody printed, encoded or escaped.
    forms: Vec<String>,
}

fn planted() -> &'static [Value] {
    static VALUES: OnceLock<Vec<Value>> = OnceLock::new();
    VALUES.get_or_init(|| Plant::ALL.map(Value::new).into())
}

impl Value {
    /// The value that the run plants in everything, where it does, or one of its own.
    fn new(plant: Plant) -> Self {
        let part = || RandomState::new().hash_one(plant as u8);
        let given = plant.name().and_then(handed);
        let text = given.unwrap_or_else(|| format!("pl{:016x}{:016x}", part(), part()));
        Self { plant, forms: forms(&text), text }
    }
}

/// Reads a value from the file that a run of all tests names; it is a file because environments are searched, too.
fn handed(name: &str) -> Option<String> {
    let file = std::env::var_os("OPENLATTICE_TEST_PLANTS")?;
    let text =
        std::fs::read_to_string(file).expect("the file of planted values is there while the tests run");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.to_owned())
}

fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let listed = |format: fn(&u8) -> String| bytes.iter().map(format).collect::<Vec<_>>().join(", ");
    let mut forms = vec![
        text.to_owned(),
        listed(|byte| byte.to_string()),
        listed(|byte| format!("0x{byte:02x}")),
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    ];
    // Where it starts within three bytes decides how it looks in base 64; the characters at its edges are shared with neighbours.
    for before in 0..3 {
        let padded = [&b"..."[..before], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(encoded[4..encoded.len() - 2].to_owned());
        }
    }
    forms
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Find {
    pub(crate) plant: Plant,
    pub(crate) place: String,
}

static FINDS: Mutex<BTreeSet<Find>> = Mutex::new(BTreeSet::new());

/// Searches a text and keeps what is found.
pub(crate) fn search(place: &str, text: &str) {
    for value in planted() {
        if value.forms.iter().any(|form| text.contains(form.as_str())) {
            let find = Find { plant: value.plant, place: place.to_owned() };
            FINDS.lock().unwrap_or_else(PoisonError::into_inner).insert(find);
        }
    }
}

/// Searches bytes of any kind.
pub(crate) fn search_bytes(place: &str, bytes: &[u8]) {
    search(place, &String::from_utf8_lossy(bytes));
}

/// Searches what `Debug` shows, short and long.
pub(crate) fn shown(place: &str, value: &dyn Debug) {
    search(place, &format!("{value:?}\n{value:#?}"));
}

/// Everything that was found so far.
pub(crate) fn finds() -> Vec<Find> {
    FINDS.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}
