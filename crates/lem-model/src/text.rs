//! Words for people that every crate says alike.

use std::error::Error;
use std::fmt::Display;

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// `1 resource differs`, `2 resources differ`.
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, one: &str, more: &str) -> String {
    let word = if n == N::from(1) { one } else { more };
    format!("{n} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot save")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn errors_say_why_and_nouns_follow_their_number() {
        let inner = std::fmt::Error;
        assert_eq!(with_causes(&Outer(inner)), format!("cannot save: {inner}"));
        assert_eq!(with_causes(&inner), inner.to_string());
        let said = [0_usize, 1, 2].map(|n| counted(n, "day", "days"));
        assert_eq!(said, ["0 days", "1 day", "2 days"]);
    }
}
