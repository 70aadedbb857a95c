//! Words of a Dockerfile line.

/// Splits into words as Docker does: quotes, backslashes, `$NAME` and `${NAME}` outside single quotes.
pub(super) fn words(text: &str, variable: &dyn Fn(&str) -> String) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match (quote, next) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (None, space) if space.is_whitespace() => found.extend(word.take()),
            (None | Some('"'), '\\') => {
                let escaped = rest.next().unwrap_or('\\');
                let word = word.get_or_insert_default();
                // Inside double quotes a backslash stays before what it need not escape.
                if quote.is_some() && !matches!(escaped, '"' | '\\' | '$') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            (None | Some('"'), '$') => {
                let value = expand(&mut rest, variable)?;
                word.get_or_insert_default().push_str(&value);
            }
            _ => word.get_or_insert_default().push(next),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    found.extend(word);
    Ok(found)
}

/// What follows a `$`.
fn expand(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    variable: &dyn Fn(&str) -> String,
) -> Result<String, String> {
    let braced = rest.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    if braced && rest.next() != Some('}') {
        return Err("only $NAME and ${NAME} are understood".to_owned());
    }
    Ok(if name.is_empty() { "$".to_owned() } else { variable(&name) })
}
