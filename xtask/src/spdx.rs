//! Licence expressions: which choices satisfy a list of accepted licences.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Whether an SPDX expression can be met with accepted licences alone.
///
/// Knows `OR`, `AND`, `WITH`, parentheses, and the old spelling `MIT/Apache-2.0`. A licence with an exception is
/// accepted when the plain licence is, since an exception only ever grants more. What it cannot read it refuses.
pub(crate) fn satisfied(expression: &str, accepted: &impl Fn(&str) -> bool) -> bool {
    let mut words = words(expression).into_iter().peekable();
    let met = any(&mut words, accepted);
    met.unwrap_or(false) && words.next().is_none()
}

fn words(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

type Words = Peekable<IntoIter<String>>;

fn any(words: &mut Words, accepted: &impl Fn(&str) -> bool) -> Option<bool> {
    let mut met = all(words, accepted)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        let other = all(words, accepted)?;
        met = met || other;
    }
    Some(met)
}

fn all(words: &mut Words, accepted: &impl Fn(&str) -> bool) -> Option<bool> {
    let mut met = one(words, accepted)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        let other = one(words, accepted)?;
        met = met && other;
    }
    Some(met)
}

fn one(words: &mut Words, accepted: &impl Fn(&str) -> bool) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let met = any(words, accepted)?;
        return (words.next()? == ")").then_some(met);
    }
    if words.next_if(|next| next.eq_ignore_ascii_case("with")).is_some() {
        words.next()?;
    }
    Some(accepted(&word))
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    fn met(expression: &str) -> bool {
        satisfied(expression, &|name: &str| ["MIT", "Apache-2.0", "ISC"].contains(&name))
    }

    #[test]
    fn choices_and_sums() {
        assert!(met("MIT") && met("GPL-3.0 OR MIT") && met("MIT/GPL-2.0") && met("Apache-2.0 AND ISC"));
        assert!(!met("GPL-3.0") && !met("MIT AND GPL-3.0"));
    }

    #[test]
    fn parentheses_bind_and_exceptions_grant() {
        assert!(met("(GPL-3.0 OR MIT) AND ISC") && met("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
        assert!(!met("(GPL-3.0 OR LGPL-3.0) AND MIT"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(!met("") && !met("MIT OR") && !met("(MIT") && !met("MIT MIT"));
    }
}
