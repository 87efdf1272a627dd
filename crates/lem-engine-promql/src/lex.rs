//! The lexer: query text to tokens with byte positions.

use crate::ast::Span;
use crate::number::quote;

/// Kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident,
    MetricIdent,
    Number,
    Duration,
    Text,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    Equal,
    EqualRegex,
    NotRegex,
    Op(crate::ast::BinOp),
    End,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What the lexer could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// Tokens up to the end, or up to the first thing that is no token.
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) error: Option<LexError>,
}

struct Lexer<'a> {
    src: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    parens: usize,
    in_braces: bool,
    in_brackets: bool,
}

pub(crate) fn lex(src: &str) -> Lexed {
    let mut lexer = Lexer {
        src,
        bytes: src.as_bytes(),
        at: 0,
        tokens: Vec::new(),
        parens: 0,
        in_braces: false,
        in_brackets: false,
    };
    let error = lexer.run().err();
    Lexed { tokens: lexer.tokens, error }
}

fn is_alpha(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

fn is_alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// A character as Go's `%q` prints a rune.
fn quote_char(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = quote(&c.to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.src.get(at..).and_then(|s| s.chars().next())
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let span = Span::new(self.at, self.at + len);
        self.tokens.push(Token { kind, span });
        self.at += len;
    }

    fn fail<T>(&self, start: usize, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { span: Span::new(start, self.at.max(start)), message: message.into() })
    }

    fn run(&mut self) -> Result<(), LexError> {
        loop {
            while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
                self.at += 1;
            }
            if self.peek(0) == b'#' && self.at < self.bytes.len() {
                while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
                    self.at += 1;
                }
                continue;
            }
            if self.at >= self.bytes.len() {
                return self.finish();
            }
            if self.in_braces {
                self.brace_token()?;
            } else {
                self.token()?;
            }
        }
    }

    fn finish(&mut self) -> Result<(), LexError> {
        let at = self.at;
        if self.in_braces {
            return self.fail(at, "unexpected end of input inside braces");
        }
        if self.parens != 0 {
            return self.fail(at, "unclosed left parenthesis");
        }
        if self.in_brackets {
            return self.fail(at, "unexpected end of input in duration expression");
        }
        self.push(Kind::End, 0);
        Ok(())
    }

    fn token(&mut self) -> Result<(), LexError> {
        use crate::ast::BinOp;
        let start = self.at;
        match (self.peek(0), self.peek(1)) {
            (b',', _) => self.push(Kind::Comma, 1),
            (b'*', _) => self.push(Kind::Op(BinOp::Mul), 1),
            (b'/', _) => self.push(Kind::Op(BinOp::Div), 1),
            (b'%', _) => self.push(Kind::Op(BinOp::Mod), 1),
            (b'+', _) => self.push(Kind::Op(BinOp::Add), 1),
            (b'-', _) => self.push(Kind::Op(BinOp::Sub), 1),
            (b'^', _) => self.push(Kind::Op(BinOp::Pow), 1),
            (b'=', b'=') => self.push(Kind::Op(BinOp::Eq), 2),
            (b'=', b'~') => {
                return self.fail(start, "unexpected character after '=': '~'");
            }
            (b'=', _) => self.push(Kind::Equal, 1),
            (b'!', b'=') => self.push(Kind::Op(BinOp::Ne), 2),
            (b'!', _) => {
                let next = self.char_at(start + 1).map_or_else(|| "'\u{fffd}'".to_owned(), quote_char);
                return self.fail(start, format!("unexpected character after '!': {next}"));
            }
            (b'<', b'=') => self.push(Kind::Op(BinOp::Le), 2),
            (b'<', b'/') => self.push(Kind::Op(BinOp::TrimUpper), 2),
            (b'<', _) => self.push(Kind::Op(BinOp::Lt), 1),
            (b'>', b'=') => self.push(Kind::Op(BinOp::Ge), 2),
            (b'>', b'/') => self.push(Kind::Op(BinOp::TrimLower), 2),
            (b'>', _) => self.push(Kind::Op(BinOp::Gt), 1),
            (b'@', _) => self.push(Kind::At, 1),
            (b'(', _) => {
                self.parens += 1;
                self.push(Kind::LeftParen, 1);
            }
            (b')', _) => {
                if self.parens == 0 {
                    return self.fail(start, "unexpected right parenthesis ')'");
                }
                self.parens -= 1;
                self.push(Kind::RightParen, 1);
            }
            (b'{', _) => {
                self.in_braces = true;
                self.push(Kind::LeftBrace, 1);
            }
            (b'[', _) => {
                if self.in_brackets {
                    return self.fail(start, "unexpected left bracket '['");
                }
                self.in_brackets = true;
                self.push(Kind::LeftBracket, 1);
            }
            (b']', _) => {
                if !self.in_brackets {
                    return self.fail(start, "unexpected right bracket ']'");
                }
                self.in_brackets = false;
                self.push(Kind::RightBracket, 1);
            }
            (b':', _) if self.in_brackets => self.push(Kind::Colon, 1),
            (b'"' | b'\'' | b'`', _) => return self.text(),
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => return self.number(),
            (b, _) if is_alpha(b) || b == b':' => self.word(),
            _ => {
                let c = self.char_at(start).unwrap_or('\u{fffd}');
                return self.fail(start, format!("unexpected character: {}", quote_char(c)));
            }
        }
        Ok(())
    }

    fn brace_token(&mut self) -> Result<(), LexError> {
        use crate::ast::BinOp;
        let start = self.at;
        match (self.peek(0), self.peek(1)) {
            (b',', _) => self.push(Kind::Comma, 1),
            (b'=', b'~') => self.push(Kind::EqualRegex, 2),
            (b'=', _) => self.push(Kind::Equal, 1),
            (b'!', b'~') => self.push(Kind::NotRegex, 2),
            (b'!', b'=') => self.push(Kind::Op(BinOp::Ne), 2),
            (b'!', _) => {
                let next = self.char_at(start + 1).map_or_else(|| "'\u{fffd}'".to_owned(), quote_char);
                return self.fail(start, format!("unexpected character after '!' inside braces: {next}"));
            }
            (b'{', _) => return self.fail(start, "unexpected left brace '{'"),
            (b'}', _) => {
                self.in_braces = false;
                self.push(Kind::RightBrace, 1);
            }
            (b'"' | b'\'' | b'`', _) => return self.text(),
            (b, _) if is_alpha(b) => {
                let len = self.bytes[start..].iter().take_while(|b| is_alnum(**b)).count();
                self.push(Kind::Ident, len);
            }
            _ => {
                let c = self.char_at(start).unwrap_or('\u{fffd}');
                return self.fail(start, format!("unexpected character inside braces: {}", quote_char(c)));
            }
        }
        Ok(())
    }

    fn word(&mut self) {
        let in_brackets = self.in_brackets;
        let len = self.bytes[self.at..].iter().take_while(|b| is_alnum(**b) || (**b == b':' && !in_brackets)).count();
        let word = &self.src[self.at..self.at + len];
        let kind = match word.to_ascii_lowercase().as_str() {
            "inf" | "nan" => Kind::Number,
            "and" => Kind::Op(crate::ast::BinOp::And),
            "or" => Kind::Op(crate::ast::BinOp::Or),
            "unless" => Kind::Op(crate::ast::BinOp::Unless),
            "atan2" => Kind::Op(crate::ast::BinOp::Atan2),
            _ if word.contains(':') => Kind::MetricIdent,
            _ => Kind::Ident,
        };
        self.push(kind, len);
    }

    fn text(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let quote_byte = self.peek(0);
        let mut at = start + 1;
        loop {
            match self.bytes.get(at) {
                None => {
                    let kind = if quote_byte == b'`' { "raw" } else { "quoted" };
                    return self.fail(start, format!("unterminated {kind} string"));
                }
                Some(b'\n') if quote_byte != b'`' => {
                    return self.fail(start, "unterminated quoted string");
                }
                Some(b'\\') if quote_byte != b'`' => at += 2,
                Some(b) if *b == quote_byte => break,
                Some(_) => at += 1,
            }
        }
        self.push(Kind::Text, at + 1 - start);
        if quote_byte != b'`' {
            let token = self.tokens[self.tokens.len() - 1];
            if let Err(message) = unquote(&self.src[token.span.start..token.span.end]) {
                self.tokens.pop();
                return self.fail(start, message);
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let rest = &self.bytes[start..];
        let hex = rest.len() > 1 && rest[0] == b'0' && matches!(rest[1], b'x' | b'X');
        let mut len = if hex { 2 } else { 0 };
        let (mut dot, mut exponent) = (false, false);
        while let Some(b) = rest.get(len) {
            match b {
                b'0'..=b'9' => len += 1,
                b'a'..=b'f' | b'A'..=b'F' if hex => len += 1,
                b'_' if rest.get(len + 1).is_some_and(u8::is_ascii_hexdigit) => len += 1,
                b'.' if !dot && !exponent && !hex => {
                    dot = true;
                    len += 1;
                }
                b'e' | b'E' if !exponent && !hex => {
                    let sign = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
                    if !rest.get(len + 1 + sign).is_some_and(u8::is_ascii_digit) {
                        break;
                    }
                    exponent = true;
                    len += 1 + sign;
                }
                _ => break,
            }
        }
        if !rest.get(len).is_some_and(|b| is_alnum(*b) || (*b == b'.' && dot)) {
            self.push(Kind::Number, len);
            return Ok(());
        }
        let word = rest.iter().take_while(|b| is_alnum(**b) || **b == b'.').count();
        let text = &self.src[start..start + word];
        if crate::number::parse_duration_ms(text).is_ok() || looks_like_duration(text) {
            self.push(Kind::Duration, word);
            return Ok(());
        }
        self.at = start + word;
        self.fail(start, format!("bad number or duration syntax: {}", quote(text)))
    }
}

/// Digits and units alternate; whether the duration is valid is for the parser to say.
fn looks_like_duration(text: &str) -> bool {
    let mut digits = false;
    let mut unit = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !digits && !unit.is_empty() && !is_unit(&unit) {
                return false;
            }
            unit.clear();
            digits = true;
        } else {
            digits = false;
            unit.push(c);
        }
    }
    is_unit(&unit)
}

fn is_unit(text: &str) -> bool {
    matches!(text, "ms" | "s" | "m" | "h" | "d" | "w" | "y")
}

/// The bytes a quoted string stands for.
pub(crate) fn unquote(quoted: &str) -> Result<Vec<u8>, String> {
    let quote_char = quoted.chars().next().unwrap_or('"');
    let body = &quoted[1..quoted.len().max(2) - 1];
    if quote_char == '`' {
        return Ok(body.bytes().filter(|b| *b != b'\r').collect());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend(c.to_string().bytes());
            continue;
        }
        let escape = chars.next().ok_or_else(|| "escape sequence not terminated".to_owned())?;
        let simple = match escape {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            e if e == quote_char => Some(e as u8),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            continue;
        }
        let (digits, base, first) = match escape {
            '0'..='7' => (3, 8, Some(escape)),
            'x' => (2, 16, None),
            'u' => (4, 16, None),
            'U' => (8, 16, None),
            other => {
                return Err(format!("unknown escape sequence U+{:04X} '{other}'", other as u32));
            }
        };
        let mut value: u32 = 0;
        for i in 0..digits {
            let digit = match (i, first) {
                (0, Some(c)) => Some(c),
                _ => chars.next(),
            };
            let digit = digit.ok_or_else(|| "escape sequence not terminated".to_owned())?;
            let number = digit
                .to_digit(base)
                .ok_or_else(|| format!("illegal character U+{:04X} '{digit}' in escape sequence", digit as u32))?;
            value = value.wrapping_mul(base).wrapping_add(number);
        }
        if matches!(escape, 'u' | 'U') {
            let c =
                char::from_u32(value).ok_or_else(|| "escape sequence is an invalid Unicode code point".to_owned())?;
            out.extend(c.to_string().bytes());
        } else {
            let byte =
                u8::try_from(value).map_err(|_| "escape sequence is an invalid Unicode code point".to_owned())?;
            out.push(byte);
        }
    }
    Ok(out)
}
