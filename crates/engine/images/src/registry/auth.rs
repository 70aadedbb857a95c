//! What a registry wants to see before it answers: the challenge of its 401, and the header that meets it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};

/// A user of a registry. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The header of basic authentication (RFC 7617); hidden from `Debug`.
    pub(super) fn basic(&self) -> HeaderValue {
        let pair = STANDARD.encode(format!("{}:{}", self.username, self.password));
        sensitive(&format!("Basic {pair}")).expect("base64 fits into a header")
    }
}

/// A header value that `Debug` does not show; nothing for bytes that no header has.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// How a registry wants to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token of the service at `realm` (distribution specification, token authentication).
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// Name and password with each request.
    Basic,
}

impl Challenge {
    /// The best challenge of a 401; nothing when there is none that we can meet.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let found: Vec<Self> = values.filter_map(Self::parse).collect();
        let bearer = found.iter().position(|challenge| *challenge != Self::Basic);
        found.into_iter().nth(bearer.unwrap_or(0))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let find = |name: &str| {
            let found = parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        Some(Self::Bearer { realm: find("realm")?, service: find("service"), scope: find("scope") })
    }
}

/// `name="value"` or `name=value`, parted by commas (RFC 9110, section 11.2).
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name, value));
        rest = next;
    }
    found
}

/// A quoted text and what follows its closing quote.
fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &text[at + 1..]),
            letter => {
                value.push(letter);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// The URL of a token for `scope`.
pub(super) fn token_url(realm: &str, service: Option<&str>, scope: &str) -> String {
    let mut url = format!("{realm}{}scope={}", if realm.contains('?') { '&' } else { '?' }, encoded(scope));
    if let Some(service) = service {
        url.push_str(&format!("&service={}", encoded(service)));
    }
    url
}

/// Everything but letters, digits and a few marks percent-encoded.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The header that shows the token of a token service's answer.
pub(super) fn bearer(answer: &[u8]) -> Option<HeaderValue> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let token = ["token", "access_token"].iter().find_map(|name| answer[name].as_str())?;
    sensitive(&format!("Bearer {token}")).filter(|_| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(texts: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(text));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn m05_challenges_are_read() {
        let hub =
            r#"Bearer realm="https://a.io/token",service="r.io",scope="repository:library/x:pull,push""#;
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        let wanted = bearer("https://a.io/token", Some("r.io"), Some("repository:library/x:pull,push"));
        assert_eq!(challenge(&[hub]), Some(wanted));
        let (basic, plain) = (r#"Basic realm="x""#, r#"bearer Service=s, realm=https://a.io/t"#);
        assert_eq!(challenge(&[basic, plain]), Some(bearer("https://a.io/t", Some("s"), None)));
        assert_eq!(challenge(&[basic]), Some(Challenge::Basic));
        assert_eq!(challenge(&["basic"]), Some(Challenge::Basic));
        assert_eq!(challenge(&[r#"Bearer realm="a\"b\\""#]), Some(bearer(r#"a"b\"#, None, None)));
        for odd in [&["Digest realm=x"][..], &["Bearer"], &["Bearer service=\"x"], &[""], &[]] {
            assert_eq!(challenge(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn m05_a_token_is_asked_for_and_shown() {
        let url = token_url("https://a.io/t", Some("r io"), "repository:a/b:pull");
        assert_eq!(url, "https://a.io/t?scope=repository%3Aa%2Fb%3Apull&service=r%20io");
        assert_eq!(token_url("https://a.io/t?x=1", None, "s"), "https://a.io/t?x=1&scope=s");
        assert_eq!(bearer(br#"{"access_token":"abc"}"#).unwrap().to_str().unwrap(), "Bearer abc");
        for odd in [&br#"{"token":""}"#[..], br#"{"token":1}"#, b"", br#"{"token":"a\nb"}"#] {
            assert!(bearer(odd).is_none());
        }
    }

    #[test]
    fn nothing_shows_a_password() {
        let credentials = Credentials { username: "u".to_owned(), password: "hunter2".to_owned() };
        let shown = format!("{credentials:?} {:?}", credentials.basic());
        assert!(!shown.contains("hunter2") && !shown.contains(&STANDARD.encode("u:hunter2")), "{shown}");
        assert_eq!(credentials.basic().to_str().unwrap(), "Basic dTpodW50ZXIy");
    }
}
