//! From text to a tree (Go `text/template`, the part that alert templates use).

use super::{MAX_DEPTH, MAX_TEMPLATE_BYTES, TemplateError};

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    Assign(String, Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range { key: Option<String>, item: Option<String>, over: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands, each feeding the next; with an optional variable it declares.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) declares: Option<String>,
    pub(super) commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Dot,
    /// Fields of what is before them.
    Field(Box<Operand>, Vec<String>),
    Variable(String),
    Function(String),
    Group(Pipeline),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Int(i64),
    Float(f64),
    Word(String),
    Variable(String),
    Field(String),
    Dot,
    Pipe,
    Open,
    Close,
    Assign,
    Comma,
    Space,
}

fn bad<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::Parse(message.into()))
}

enum Piece {
    Text(String),
    Action(String),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return bad(format!("template has {} bytes; the limit is {MAX_TEMPLATE_BYTES}", text.len()));
    }
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(word) => bad(format!("unexpected {{{{{word}}}}}")),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut out = vec![];
    let mut rest = text;
    let mut trim_next = false;
    while let Some(start) = rest.find("{{") {
        let mut before = &rest[..start];
        let action = &rest[start + 2..];
        if trim_next {
            before = before.trim_start();
        }
        let trims_left = action.starts_with("- ");
        if trims_left {
            before = before.trim_end();
        }
        out.push(Piece::Text(before.to_owned()));
        let action = if trims_left { &action[2..] } else { action };
        if action.trim_start().starts_with("/*") {
            let Some(end) = action.find("*/") else { return bad("unclosed comment") };
            let after = action[end + 2..].trim_start();
            let (after, trims) = after.strip_prefix('-').map_or((after, false), |a| (a, true));
            let Some(after) = after.strip_prefix("}}") else { return bad("comment ends before closing delimiter") };
            (rest, trim_next) = (after, trims);
            continue;
        }
        let Some(end) = action_end(action) else { return bad("unclosed action") };
        let inner = &action[..end];
        trim_next = inner.ends_with(" -") || inner == "-";
        out.push(Piece::Action(inner.strip_suffix('-').filter(|_| trim_next).unwrap_or(inner).trim().to_owned()));
        rest = &action[end + 2..];
    }
    out.push(Piece::Text(if trim_next { rest.trim_start() } else { rest }.to_owned()));
    Ok(out)
}

/// Where the action ends, quotes looked through.
fn action_end(action: &str) -> Option<usize> {
    let bytes = action.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'`' | b'\'') => {
                at += 1;
                while bytes.get(at)? != &quote {
                    at += if bytes[at] == b'\\' && quote != b'`' { 2 } else { 1 };
                }
            }
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

type Pieces = std::vec::IntoIter<Piece>;

/// Nodes up to `end` or `else`, whose action is given back.
fn block(pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, Option<String>), TemplateError> {
    if depth > MAX_DEPTH {
        return bad("template is nested too deeply");
    }
    let mut nodes = vec![];
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                if !text.is_empty() {
                    nodes.push(Node::Text(text));
                }
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(char::is_whitespace).map_or((action.as_str(), ""), |(w, r)| (w, r.trim()));
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" | "with" => nodes.push(branch(word, rest, pieces, depth)?),
            "range" => nodes.push(range(rest, pieces, depth)?),
            "define" | "template" | "block" | "break" | "continue" => {
                return bad(format!("{{{{{word}}}}} is not supported"));
            }
            _ => nodes.push(plain(&action)?),
        }
    }
    if depth > 0 {
        return bad("unexpected EOF");
    }
    Ok((nodes, None))
}

fn plain(action: &str) -> Result<Node, TemplateError> {
    let tokens = tokens(action)?;
    if let [Token::Variable(name), rest @ ..] = tokens.as_slice() {
        let rest = rest.strip_prefix(&[Token::Space]).unwrap_or(rest);
        if let [Token::Assign, value @ ..] = rest {
            return Ok(Node::Assign(name.clone(), pipeline_of(value)?));
        }
    }
    Ok(Node::Print(pipeline_of(&tokens)?))
}

fn branch(word: &str, condition: &str, pieces: &mut Pieces, depth: usize) -> Result<Node, TemplateError> {
    let condition = pipeline(condition)?;
    let (then, end) = block(pieces, depth + 1)?;
    let otherwise = otherwise(end, pieces, depth)?;
    Ok(if word == "if" { Node::If(condition, then, otherwise) } else { Node::With(condition, then, otherwise) })
}

fn otherwise(end: Option<String>, pieces: &mut Pieces, depth: usize) -> Result<Vec<Node>, TemplateError> {
    let end = end.unwrap_or_default();
    let Some(rest) = end.strip_prefix("else") else { return Ok(vec![]) };
    let rest = rest.trim();
    for word in ["if", "with"] {
        if let Some(condition) = rest.strip_prefix(word).filter(|c| c.starts_with(char::is_whitespace)) {
            return Ok(vec![branch(word, condition.trim(), pieces, depth + 1)?]);
        }
    }
    if !rest.is_empty() {
        return bad(format!("unexpected {rest:?} in else"));
    }
    let (nodes, end) = block(pieces, depth + 1)?;
    if end.as_deref() != Some("end") {
        return bad("expected end; found {{else}}");
    }
    Ok(nodes)
}

fn range(action: &str, pieces: &mut Pieces, depth: usize) -> Result<Node, TemplateError> {
    let all: Vec<Token> = tokens(action)?;
    let tight: Vec<Token> = all.iter().filter(|t| **t != Token::Space).cloned().collect();
    let value_after = |assign: usize| -> Result<Pipeline, TemplateError> {
        let mut left = assign;
        let at = all.iter().position(|t| {
            if *t != Token::Space {
                left = left.wrapping_sub(1);
            }
            left == usize::MAX
        });
        pipeline_of(&all[at.map_or(all.len(), |a| a + 1)..])
    };
    let (key, item, over) = match tight.as_slice() {
        [Token::Variable(key), Token::Comma, Token::Variable(item), Token::Assign, ..] => {
            (Some(key.clone()), Some(item.clone()), value_after(3)?)
        }
        [Token::Variable(item), Token::Assign, ..] => (None, Some(item.clone()), value_after(1)?),
        _ => (None, None, pipeline_of(&all)?),
    };
    let (body, end) = block(pieces, depth + 1)?;
    let otherwise = otherwise(end, pieces, depth)?;
    Ok(Node::Range { key, item, over, body, otherwise })
}

fn pipeline(text: &str) -> Result<Pipeline, TemplateError> {
    let tokens = tokens(text)?;
    if let [Token::Variable(name), rest @ ..] = tokens.as_slice() {
        let rest = rest.strip_prefix(&[Token::Space]).unwrap_or(rest);
        if let [Token::Assign, value @ ..] = rest {
            return Ok(Pipeline { declares: Some(name.clone()), ..pipeline_of(value)? });
        }
    }
    pipeline_of(&tokens)
}

fn pipeline_of(tokens: &[Token]) -> Result<Pipeline, TemplateError> {
    let mut at = 0;
    let parsed = commands(tokens, &mut at, 0)?;
    match tokens.get(at) {
        None => Ok(parsed),
        Some(token) => bad(format!("unexpected {token:?} in operand")),
    }
}

fn commands(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Pipeline, TemplateError> {
    if depth > MAX_DEPTH {
        return bad("template is nested too deeply");
    }
    let mut commands = vec![vec![]];
    while let Some(token) = tokens.get(*at) {
        match token {
            Token::Space => *at += 1,
            Token::Pipe => {
                *at += 1;
                commands.push(vec![]);
            }
            Token::Close => break,
            _ => {
                let operand = operand(tokens, at, depth)?;
                commands.last_mut().expect("there is always one").push(operand);
            }
        }
    }
    if commands.iter().any(Vec::is_empty) {
        return bad("missing value for command");
    }
    Ok(Pipeline { declares: None, commands })
}

fn operand(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Operand, TemplateError> {
    let token = tokens[*at].clone();
    *at += 1;
    let mut found = match token {
        Token::Text(t) => Operand::Text(t),
        Token::Int(i) => Operand::Int(i),
        Token::Float(f) => Operand::Float(f),
        Token::Word(w) => match w.as_str() {
            "true" => Operand::Bool(true),
            "false" => Operand::Bool(false),
            "nil" => Operand::Nil,
            _ if super::func::is_known(&w) => Operand::Function(w),
            _ => return bad(format!("function {w:?} not defined")),
        },
        Token::Variable(v) => Operand::Variable(v),
        Token::Dot => Operand::Dot,
        Token::Field(f) => Operand::Field(Box::new(Operand::Dot), vec![f]),
        Token::Open => {
            let inner = commands(tokens, at, depth + 1)?;
            if tokens.get(*at) != Some(&Token::Close) {
                return bad("unclosed left paren");
            }
            *at += 1;
            Operand::Group(inner)
        }
        other => return bad(format!("unexpected {other:?} in operand")),
    };
    while let Some(Token::Field(name)) = tokens.get(*at) {
        *at += 1;
        found = match found {
            Operand::Field(of, mut names) => {
                names.push(name.clone());
                Operand::Field(of, names)
            }
            of => Operand::Field(Box::new(of), vec![name.clone()]),
        };
    }
    Ok(found)
}

fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut out = vec![];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (token, used) = match c {
            c if c.is_whitespace() => (Token::Space, rest.len() - rest.trim_start().len()),
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            ':' if rest.starts_with(":=") => (Token::Assign, 2),
            '=' => (Token::Assign, 1),
            '"' | '`' => quoted(rest, c)?,
            '$' => {
                let len = word_len(&rest[1..]);
                (Token::Variable(rest[..=len].to_owned()), len + 1)
            }
            '.' if rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                let len = word_len(&rest[1..]);
                (Token::Field(rest[1..=len].to_owned()), len + 1)
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => (Token::Dot, 1),
            c if c.is_ascii_digit() || c == '-' || c == '+' || c == '.' => number(rest)?,
            c if c.is_alphabetic() || c == '_' => {
                let len = word_len(rest);
                (Token::Word(rest[..len].to_owned()), len)
            }
            other => return bad(format!("unexpected {other:?} in command")),
        };
        out.push(token);
        rest = &rest[used..];
    }
    Ok(out)
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn number(text: &str) -> Result<(Token, usize), TemplateError> {
    let len = text
        .char_indices()
        .find(|(at, c)| {
            let exponent = *at > 0 && matches!(text.as_bytes()[at - 1], b'e' | b'E');
            !(c.is_ascii_alphanumeric() || *c == '.' || *c == '_' || (matches!(c, '+' | '-') && (*at == 0 || exponent)))
        })
        .map_or(text.len(), |(at, _)| at);
    let word = &text[..len];
    if let Ok(int) = word.parse() {
        return Ok((Token::Int(int), len));
    }
    word.parse().map(|f| (Token::Float(f), len)).or_else(|_| bad(format!("bad number syntax: {word:?}")))
}

fn quoted(text: &str, quote: char) -> Result<(Token, usize), TemplateError> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::Text(out), at + 1)),
            '\\' if quote == '"' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(c @ ('\\' | '"' | '\'')) => out.push(c),
                other => return bad(format!("invalid escape {other:?}")),
            },
            c => out.push(c),
        }
    }
    bad("unterminated quoted string")
}
