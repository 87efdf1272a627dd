//! A subset of Go's text/template: fields, strings, numbers, functions, pipes, parentheses, `if`, `else if`, `else`, `end`.
//! `range`, `with`, variables and definitions are refused by name.

use super::Row;
use super::template_funcs::{self, Func};
use crate::limits;

#[derive(Debug, Clone)]
pub(super) struct Template {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Print(Pipe),
    If { arms: Vec<(Pipe, Vec<Node>)>, otherwise: Vec<Node> },
}

/// Commands; each gets the answer of the one before as its last argument.
type Pipe = Vec<Vec<Arg>>;

#[derive(Debug, Clone)]
enum Arg {
    Field(String),
    Text(String),
    Number(f64),
    Bool(bool),
    Func(Func),
    Pipe(Pipe),
}

/// A value inside a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Val {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Bool(b) => b.to_string(),
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Bool(b) => *b,
        }
    }

    pub(super) fn float(&self) -> Result<f64, String> {
        match self {
            Self::Text(text) => text.trim().parse().map_err(|_| format!("{text:?} is no number")),
            Self::Int(n) => Ok(*n as f64),
            Self::Float(n) => Ok(*n),
            Self::Bool(b) => Ok(f64::from(u8::from(*b))),
        }
    }
}

impl Template {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut pieces = pieces(text)?.into_iter();
        let (nodes, end) = block(&mut pieces, 0)?;
        match end {
            None => Ok(Self { nodes }),
            Some(word) => Err(format!("unexpected {{{{{word}}}}}")),
        }
    }

    pub(super) fn print(&self, row: &Row<'_>) -> Result<String, String> {
        let mut out = String::new();
        print(&self.nodes, row, &mut out)?;
        Ok(out)
    }
}

fn print(nodes: &[Node], row: &Row<'_>, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipe) => out.push_str(&run(pipe, row)?.text()),
            Node::If { arms, otherwise } => {
                let mut taken = otherwise;
                for (condition, body) in arms {
                    if run(condition, row)?.truth() {
                        taken = body;
                        break;
                    }
                }
                print(taken, row, out)?;
            }
        }
        if out.len() > limits::TEMPLATE_BYTES_MAX {
            return Err(format!("the template prints more than {} bytes", limits::TEMPLATE_BYTES_MAX));
        }
    }
    Ok(())
}

fn run(pipe: &Pipe, row: &Row<'_>) -> Result<Val, String> {
    let mut last: Option<Val> = None;
    for command in pipe {
        let Some((head, rest)) = command.split_first() else { return Err("empty command".to_owned()) };
        let value = match head {
            Arg::Func(func) => {
                let mut args = rest.iter().map(|arg| value(arg, row)).collect::<Result<Vec<_>, _>>()?;
                args.extend(last.take());
                template_funcs::call(func, &args, row)?
            }
            arg => value(arg, row)?,
        };
        last = Some(value);
    }
    last.ok_or_else(|| "empty action".to_owned())
}

fn value(arg: &Arg, row: &Row<'_>) -> Result<Val, String> {
    Ok(match arg {
        Arg::Field(name) => Val::Text(row.get(name).to_owned()),
        Arg::Text(text) => Val::Text(text.clone()),
        Arg::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => Val::Int(*n as i64),
        Arg::Number(n) => Val::Float(*n),
        Arg::Bool(b) => Val::Bool(*b),
        Arg::Func(func) => template_funcs::call(func, &[], row)?,
        Arg::Pipe(pipe) => run(pipe, row)?,
    })
}

enum Part {
    Text(String),
    Action(String),
}

/// Text and actions; `{{-` and `-}}` trim the text beside them.
fn pieces(text: &str) -> Result<Vec<Part>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let open = rest.find("{{");
        let (before, action) = match open {
            Some(at) => (&rest[..at], Some(&rest[at + 2..])),
            None => (rest, None),
        };
        let mut before = if trim_next { before.trim_start() } else { before };
        let Some(action) = action else {
            out.push(Part::Text(before.to_owned()));
            return Ok(out);
        };
        let action = match action.strip_prefix("- ") {
            Some(inner) => {
                before = before.trim_end();
                inner
            }
            None => action,
        };
        out.push(Part::Text(before.to_owned()));
        let end = action_end(action).ok_or("{{ is not closed")?;
        let inner = &action[..end];
        rest = &action[end + 2..];
        trim_next = inner.ends_with(" -");
        let inner = inner.strip_suffix(" -").unwrap_or(inner).trim();
        if !inner.starts_with("/*") {
            out.push(Part::Action(inner.to_owned()));
        }
    }
}

/// The closing braces, not those inside a string.
fn action_end(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in action.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if action[i..].starts_with("}}") => return Some(i),
            None => {}
        }
    }
    None
}

/// Nodes up to `end`, `else` or the end of the template, and that word.
fn block(parts: &mut std::vec::IntoIter<Part>, depth: usize) -> Result<(Vec<Node>, Option<String>), String> {
    if depth > limits::DEPTH_MAX {
        return Err(format!("nested deeper than {} levels", limits::DEPTH_MAX));
    }
    let mut nodes = Vec::new();
    while let Some(part) = parts.next() {
        let action = match part {
            Part::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Part::Action(action) => action,
        };
        let word = action.split_whitespace().next().unwrap_or("");
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" => nodes.push(if_node(&action[2..], parts, depth)?),
            "range" | "with" | "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("{word} is not supported"));
            }
            _ => nodes.push(Node::Print(pipe(&action)?)),
        }
    }
    Ok((nodes, None))
}

fn if_node(condition: &str, parts: &mut std::vec::IntoIter<Part>, depth: usize) -> Result<Node, String> {
    let mut arms = Vec::new();
    let mut condition = pipe(condition)?;
    loop {
        let (body, end) = block(parts, depth + 1)?;
        arms.push((condition, body));
        let end = end.ok_or("if has no end")?;
        if end == "end" {
            return Ok(Node::If { arms, otherwise: Vec::new() });
        }
        let rest = end.strip_prefix("else").unwrap_or("").trim();
        if let Some(next) = rest.strip_prefix("if ") {
            condition = pipe(next)?;
            continue;
        }
        if !rest.is_empty() {
            return Err(format!("unexpected {rest} after else"));
        }
        let (otherwise, end) = block(parts, depth + 1)?;
        return match end.as_deref() {
            Some("end") => Ok(Node::If { arms, otherwise }),
            _ => Err("else has no end".to_owned()),
        };
    }
}

fn pipe(text: &str) -> Result<Pipe, String> {
    let mut words = words(text)?.into_iter().peekable();
    let pipe = pipe_until(&mut words, 0)?;
    match words.next() {
        None => Ok(pipe),
        Some(word) => Err(format!("unexpected {word}")),
    }
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn pipe_until(words: &mut Words, depth: usize) -> Result<Pipe, String> {
    if depth > limits::DEPTH_MAX {
        return Err(format!("nested deeper than {} levels", limits::DEPTH_MAX));
    }
    let mut pipe = vec![Vec::new()];
    while let Some(word) = words.peek() {
        if word == ")" {
            break;
        }
        let word = words.next().unwrap_or_default();
        match word.as_str() {
            "|" => pipe.push(Vec::new()),
            "(" => {
                let inner = pipe_until(words, depth + 1)?;
                if words.next().as_deref() != Some(")") {
                    return Err("( is not closed".to_owned());
                }
                pipe.last_mut().ok_or("empty pipe")?.push(Arg::Pipe(inner));
            }
            _ => pipe.last_mut().ok_or("empty pipe")?.push(arg(&word)?),
        }
    }
    for (at, command) in pipe.iter().enumerate() {
        match command.as_slice() {
            [] => return Err("missing value".to_owned()),
            [Arg::Func(_), ..] => {}
            [_] if at == 0 => {}
            _ => return Err("only a function takes arguments".to_owned()),
        }
    }
    Ok(pipe)
}

fn arg(word: &str) -> Result<Arg, String> {
    if word.starts_with('"') {
        return serde_json::from_str(word).map(Arg::Text).map_err(|_| format!("bad string {word}"));
    }
    if let Some(raw) = word.strip_prefix('`') {
        return Ok(Arg::Text(raw.trim_end_matches('`').to_owned()));
    }
    if let Some(field) = word.strip_prefix('.') {
        return Ok(Arg::Field(field.to_owned()));
    }
    if word == "true" || word == "false" {
        return Ok(Arg::Bool(word == "true"));
    }
    if let Ok(number) = word.parse::<f64>() {
        return Ok(Arg::Number(number));
    }
    template_funcs::find(word).map(Arg::Func).ok_or_else(|| format!("function {word:?} is not defined"))
}

/// Words, strings kept whole, parentheses and pipes apart.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '(' | ')' | '|' => 1,
            '"' | '`' => string_len(rest, c).ok_or_else(|| format!("string is not closed: {rest}"))?,
            _ => {
                rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"' | '`')).unwrap_or(rest.len())
            }
        };
        out.push(rest[..len].to_owned());
        rest = rest[len..].trim_start();
    }
    Ok(out)
}

fn string_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(i + 1),
            _ => {}
        }
    }
    None
}
