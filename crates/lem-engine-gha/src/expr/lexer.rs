//! From text to words.

use super::number::text_to_number;
use super::{EvalError, MAX_LENGTH, Phase};

/// A kind of word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Comma,
    Dot,
    Bang,
    NotEqual,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Star,
    Number(f64),
    Text(String),
    Name,
    True,
    False,
    Null,
    End,
}

/// A word with what was written.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) offset: usize,
}

impl Word {
    /// How messages show it: a string by its value, the end as `EOF`.
    pub(super) fn shown(&self) -> &str {
        match &self.kind {
            Kind::Text(text) => text,
            Kind::End => "EOF",
            _ => &self.text,
        }
    }
}

pub(super) fn words(source: &str) -> Result<Vec<Word>, EvalError> {
    if source.encode_utf16().count() > MAX_LENGTH {
        let message = format!("Exceeded max expression length {MAX_LENGTH}");
        return Err(EvalError::new(Phase::Lexing, message, None));
    }
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer { source, chars, at: 0, words: vec![] };
    while lexer.at < lexer.chars.len() {
        lexer.word()?;
    }
    let end = lexer.at;
    lexer.words.push(Word { kind: Kind::End, text: String::new(), offset: end });
    Ok(lexer.words)
}

struct Lexer<'a> {
    source: &'a str,
    chars: Vec<char>,
    at: usize,
    words: Vec<Word>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn word(&mut self) -> Result<(), EvalError> {
        let next = self.peek(1);
        let (kind, length) = match self.chars[self.at] {
            ' ' | '\r' | '\t' | '\n' => {
                self.at += 1;
                return Ok(());
            }
            '(' => (Kind::LeftParen, 1),
            ')' => (Kind::RightParen, 1),
            '[' => (Kind::LeftBracket, 1),
            ']' => (Kind::RightBracket, 1),
            ',' => (Kind::Comma, 1),
            '*' => (Kind::Star, 1),
            '!' if next == Some('=') => (Kind::NotEqual, 2),
            '!' => (Kind::Bang, 1),
            '<' if next == Some('=') => (Kind::LessOrEqual, 2),
            '<' => (Kind::Less, 1),
            '>' if next == Some('=') => (Kind::GreaterOrEqual, 2),
            '>' => (Kind::Greater, 1),
            '=' if next == Some('=') => (Kind::Equal, 2),
            '&' if next == Some('&') => (Kind::And, 2),
            '|' if next == Some('|') => (Kind::Or, 2),
            '.' if self.after_value() => (Kind::Dot, 1),
            '.' | '-' | '+' | '0'..='9' => return self.number(),
            '\'' => return self.text(),
            _ => return self.name(),
        };
        self.push(kind, self.at, self.at + length);
        Ok(())
    }

    /// Whether a dot here is an access, not the start of a number.
    fn after_value(&self) -> bool {
        let last = self.words.last().map(|word| &word.kind);
        matches!(last, Some(Kind::Name | Kind::RightBracket | Kind::RightParen | Kind::Star))
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let text = self.chars[start..end].iter().collect();
        self.words.push(Word { kind, text, offset: start });
        self.at = end;
    }

    /// The end of the word that starts here, up to a character that can stand in none.
    fn boundary(&self, also: fn(char) -> bool) -> usize {
        let rest = self.chars[self.at + 1..].iter();
        self.at + 1 + rest.take_while(|&&c| !is_boundary(c) || also(c)).count()
    }

    fn number(&mut self) -> Result<(), EvalError> {
        let end = self.boundary(|c| c == '.');
        let text: String = self.chars[self.at..end].iter().collect();
        let value = text_to_number(&text);
        if value.is_nan() {
            return Err(self.unexpected(end));
        }
        self.push(Kind::Number(value), self.at, end);
        Ok(())
    }

    fn text(&mut self) -> Result<(), EvalError> {
        let mut value = String::new();
        let mut end = self.at + 1;
        loop {
            match (self.chars.get(end), self.chars.get(end + 1)) {
                (None, _) => return Err(self.unexpected(self.chars.len())),
                (Some('\''), Some('\'')) => {
                    value.push('\'');
                    end += 2;
                }
                (Some('\''), _) => break,
                (Some(&c), _) => {
                    value.push(c);
                    end += 1;
                }
            }
        }
        self.push(Kind::Text(value), self.at, end + 1);
        Ok(())
    }

    fn name(&mut self) -> Result<(), EvalError> {
        let end = self.boundary(|_| false);
        let text: String = self.chars[self.at..end].iter().collect();
        if !is_name(&text) {
            return Err(self.unexpected(end));
        }
        // After a dot a keyword is a plain name.
        let after_dot = self.words.last().is_some_and(|word| word.kind == Kind::Dot);
        let kind = match text.as_str() {
            _ if after_dot => Kind::Name,
            "true" => Kind::True,
            "false" => Kind::False,
            "null" => Kind::Null,
            "NaN" => Kind::Number(f64::NAN),
            "Infinity" => Kind::Number(f64::INFINITY),
            _ => Kind::Name,
        };
        self.push(kind, self.at, end);
        Ok(())
    }

    fn unexpected(&self, end: usize) -> EvalError {
        let text: String = self.chars[self.at..end].iter().collect();
        let message = format!(
            "Unexpected symbol: '{text}'. Located at position {} within expression: {}",
            self.at + 1,
            self.source
        );
        EvalError::new(Phase::Lexing, message, Some(self.at))
    }
}

fn is_boundary(c: char) -> bool {
    matches!(c, '(' | '[' | ')' | ']' | ',' | '.' | '!' | '>' | '<' | '=' | '&' | '|') || c.is_whitespace()
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
