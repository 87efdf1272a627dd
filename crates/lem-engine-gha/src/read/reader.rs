//! From YAML tree to tokens: checks a file against the schema and parses its expressions.

use super::convert::Checks;
use super::problems::Problems;
use super::schema::{Definition, Mapping, Rule, definition};
use super::template;
use crate::expr::Names;
use crate::token::{Kind, Token};
use lem_engine_yaml::{Content, Entry, Mark, Node, Resolved, Scalar, Style};
use lem_model::diagnostic::nearest;
use std::collections::HashSet;
use std::rc::Rc;

/// Keys of background steps.
const BACKGROUND: [&str; 4] = ["background", "wait", "wait-all", "cancel"];

/// What makes the rest of a file unreadable.
#[derive(Debug)]
pub(crate) struct Stop;

/// A definition with the names that are legal there, those of its parents included.
#[derive(Clone)]
struct Place {
    definition: &'static Definition,
    names: Rc<Vec<&'static str>>,
}

impl Place {
    fn root(name: &str) -> Self {
        let definition = definition(name);
        Self { definition, names: Rc::new(definition.names.clone()) }
    }

    fn child(&self, name: &str) -> Self {
        let definition = definition(name);
        let mut names = Rc::clone(&self.names);
        for more in &definition.names {
            if !names.contains(more) {
                Rc::make_mut(&mut names).push(more);
            }
        }
        Self { definition, names }
    }

    fn names(&self) -> Names {
        Names::of(self.names.iter().copied())
    }

    /// Mappings that may stand here.
    fn mappings(&self) -> Vec<&'static Mapping> {
        let own = |definition: &'static Definition| match &definition.rule {
            Rule::Mapping(mapping) => Some(mapping),
            _ => None,
        };
        match &self.definition.rule {
            Rule::OneOf(options) => options.iter().filter_map(|name| own(definition(name))).collect(),
            _ => own(self.definition).into_iter().collect(),
        }
    }

    /// The type of items, if a list may stand here.
    fn item(&self) -> Option<&'static str> {
        let own = |definition: &'static Definition| match definition.rule {
            Rule::Sequence(item) => Some(item),
            _ => None,
        };
        match &self.definition.rule {
            Rule::OneOf(options) => options.iter().find_map(|name| own(definition(name))),
            _ => own(self.definition),
        }
    }
}

fn scalar_matches(definition: &'static Definition, kind: &Kind) -> bool {
    match (&definition.rule, kind) {
        (Rule::Null, Kind::Null)
        | (Rule::Bool, Kind::Bool(_))
        | (Rule::Number, Kind::Number(_))
        | (Rule::String, Kind::String(_)) => true,
        (Rule::NonEmpty, Kind::String(text)) => !text.is_empty(),
        (Rule::Constant(constant), Kind::String(text)) => constant == text,
        (Rule::OneOf(options), kind) => options.iter().any(|name| scalar_matches(self::definition(name), kind)),
        _ => false,
    }
}

/// Constants that may stand at a place, for "did you mean".
fn constants(definition: &'static Definition, into: &mut Vec<&'static str>) {
    match &definition.rule {
        Rule::Constant(constant) => into.push(constant),
        Rule::OneOf(options) => options.iter().for_each(|name| constants(self::definition(name), into)),
        _ => {}
    }
}

pub(crate) struct TokenReader<'a> {
    pub(crate) file: &'a str,
    /// Lines of the file.
    pub(crate) lines: Vec<&'a str>,
    pub(crate) background_steps: bool,
    /// How many lists and mappings are open, and how many may be.
    pub(crate) depth: usize,
    pub(crate) max_depth: usize,
    pub(crate) checks: Checks,
    pub(crate) problems: &'a mut Problems,
}

impl TokenReader<'_> {
    /// The tokens of a workflow file.
    pub(crate) fn workflow(&mut self, root: &Node) -> Result<Token, Stop> {
        self.value(root, &Place::root("root"))
    }

    fn value(&mut self, node: &Node, place: &Place) -> Result<Token, Stop> {
        if node.scalar().is_none() {
            self.depth += 1;
            if self.depth > self.max_depth {
                self.problems.of_file(self.file, "workflow-depth", "Maximum object depth exceeded");
                return Err(Stop);
            }
        }
        let token = self.value_of(node, place)?;
        if node.scalar().is_none() {
            self.depth -= 1;
        }
        Ok(token)
    }

    fn value_of(&mut self, node: &Node, place: &Place) -> Result<Token, Stop> {
        match &node.content {
            Content::Scalar(scalar) => {
                let token = self.scalar(node, scalar, place)?;
                Ok(self.check(token, place))
            }
            Content::Sequence(items) => self.sequence(node, items, place),
            Content::Mapping(entries) => {
                let mappings = place.mappings();
                if mappings.is_empty() {
                    self.error(node, "unexpected-type", "A mapping was not expected");
                    return Ok(self.token(node, Kind::Mapping(vec![])));
                }
                self.mapping(node, entries, place, mappings)
            }
        }
    }

    /// Where a node starts; a block scalar at its `|` or `>`, as the service counts, not at its first line.
    fn place(&self, node: &Node) -> lem_model::Place {
        let block = node.scalar().is_some_and(|scalar| matches!(scalar.style, Style::Literal | Style::Folded));
        match block.then(|| block_header(&self.lines, node.mark)).flatten() {
            Some(mark) => lem_model::Place::new(self.file, mark.line, mark.column),
            None => node.place(self.file),
        }
    }

    fn token(&mut self, node: &Node, kind: Kind) -> Token {
        self.problems.count(&kind);
        Token::new(self.place(node), kind)
    }

    fn error(&mut self, node: &Node, code: &str, message: &str) {
        let place = self.place(node);
        self.problems.at(&place, code, message);
    }

    fn sequence(&mut self, node: &Node, items: &[Node], place: &Place) -> Result<Token, Stop> {
        let Some(item) = place.item() else {
            self.error(node, "unexpected-type", "A sequence was not expected");
            return Ok(self.token(node, Kind::Sequence(vec![])));
        };
        let child = place.child(item);
        let items = items.iter().map(|item| self.value(item, &child)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.token(node, Kind::Sequence(items)))
    }

    fn mapping(
        &mut self,
        node: &Node,
        entries: &[Entry],
        place: &Place,
        mut mappings: Vec<&'static Mapping>,
    ) -> Result<Token, Stop> {
        let mut pairs = vec![];
        let mut seen = HashSet::new();
        let mut has_expression_key = false;
        let loose = mappings[0].loose;
        for Entry { key, value } in entries {
            let Some(text) = key.scalar() else {
                self.error(key, "unexpected-type", "A key must be a scalar");
                continue;
            };
            let name = self.scalar(key, text, place)?;
            if matches!(name.kind, Kind::Expression(_) | Kind::Insert) {
                has_expression_key = true;
                if place.names.is_empty() {
                    self.error(key, "expression", "A template expression is not allowed in this context");
                } else {
                    let value_type = loose.filter(|_| mappings.len() == 1 && mappings[0].keys.is_empty());
                    let child = place.child(value_type.map_or("any", |(_, value)| value));
                    pairs.push((name, self.value(value, &child)?));
                }
                continue;
            }
            let word = literal_text(&name.kind);
            let name = Token::new(name.place, Kind::String(word.clone()));
            if !word.is_empty() && !seen.insert(word.to_uppercase()) {
                self.error(key, "duplicate-key", &format!("'{word}' is already defined"));
                continue;
            }
            if let Some(child) = self.known_key(&word, place, &mut mappings) {
                pairs.push((name, self.value(value, &child)?));
            } else if let Some((key_type, value_type)) = loose {
                let name = self.check(name, &place.child(key_type));
                pairs.push((name, self.value(value, &place.child(value_type))?));
            } else {
                self.unknown_key(key, &word, &mappings);
            }
        }
        self.check_keys(node, &mappings, &seen, has_expression_key);
        Ok(self.token(node, Kind::Mapping(pairs)))
    }

    /// The place below a well-known key; mappings that do not have the key are dropped from the choice.
    fn known_key(&self, word: &str, place: &Place, mappings: &mut Vec<&'static Mapping>) -> Option<Place> {
        if !self.background_steps && BACKGROUND.contains(&word) {
            let of_step = mappings.iter().any(|mapping| mapping.key("wait").is_some() || mapping.key("run").is_some());
            if of_step {
                return None;
            }
        }
        let found = mappings.iter().rev().find_map(|mapping| mapping.key(word))?;
        mappings.retain(|mapping| mapping.key(word).is_some());
        Some(place.child(found.value))
    }

    fn unknown_key(&mut self, key: &Node, word: &str, mappings: &[&'static Mapping]) {
        let known = mappings.iter().flat_map(|mapping| mapping.keys.iter().map(|key| key.name));
        let hint = nearest(word, known).map(|near| format!("did you mean \"{near}\"?"));
        let place = self.place(key);
        self.problems.with_hint(&place, "unknown-key", &format!("Unexpected value '{word}'"), hint);
    }

    fn check_keys(&mut self, node: &Node, mappings: &[&'static Mapping], seen: &HashSet<String>, open: bool) {
        if let [mapping] = mappings {
            for key in mapping.keys.iter().filter(|key| key.required && !open) {
                if !seen.contains(&key.name.to_uppercase()) {
                    self.error(node, "missing-key", &format!("Required property is missing: {}", key.name));
                }
            }
            return;
        }
        let names = || mappings.iter().flat_map(|mapping| mapping.keys.iter().map(|key| key.name));
        let once = |name: &&str| names().filter(|other| other == name).count() == 1;
        let shown = |name: &&str| self.background_steps || !BACKGROUND[1..].contains(name);
        let mut telling: Vec<&str> = names().filter(once).filter(shown).collect();
        telling.sort_unstable();
        let message = format!(
            "There's not enough info to determine what you meant. Add one of these properties: {}",
            telling.join(", ")
        );
        self.error(node, "missing-key", &message);
    }

    /// A scalar as the core schema of YAML 1.2 or its tag reads it, expressions parsed.
    fn scalar(&mut self, node: &Node, scalar: &Scalar, place: &Place) -> Result<Token, Stop> {
        let kind = match &node.tag {
            Some(tag) if tag != "!" => self.tagged(node, scalar, tag)?,
            _ => resolve(scalar),
        };
        let Kind::String(text) = &kind else { return Ok(self.token(node, kind)) };
        let at = self.place(node);
        match template::scalar(text, &at, &place.names()) {
            Ok(token) => {
                self.problems.count(&token.kind);
                Ok(token)
            }
            Err(problems) => {
                for (offset, problem) in problems {
                    let at = match self.checks {
                        Checks::All => inside(node, scalar, &at, offset),
                        Checks::Service => at.clone(),
                    };
                    self.problems.at(&at, "expression", &problem);
                }
                Ok(Token::new(at, kind))
            }
        }
    }

    fn tagged(&mut self, node: &Node, scalar: &Scalar, tag: &str) -> Result<Kind, Stop> {
        let (line, column) = (node.mark.line, node.mark.column);
        let name = tag.strip_prefix("tag:yaml.org,2002:").or_else(|| tag.strip_prefix("!!"));
        if name == Some("str") {
            return Ok(Kind::String(scalar.text.clone()));
        }
        let tag = name.map_or_else(|| tag.to_owned(), |name| format!("tag:yaml.org,2002:{name}"));
        if scalar.style != Style::Plain {
            let message = format!(
                "The scalar style '{:?}' on line {line} and column {column} is not valid with the tag '{tag}'",
                scalar.style
            );
            return Err(self.stop(&message));
        }
        let resolved = resolve(scalar);
        let kind = match (name, resolved) {
            (Some("null"), Kind::Null) => Kind::Null,
            (Some("bool"), Kind::Bool(value)) => Kind::Bool(value),
            (Some("float"), Kind::Number(value)) => Kind::Number(value),
            (Some("int"), Kind::Number(value)) if is_integer(&scalar.text) => Kind::Number(value),
            (Some("null" | "bool" | "float" | "int"), _) => {
                let message = format!(
                    "The value '{}' on line {line} and column {column} is invalid for the type '{tag}'",
                    scalar.text
                );
                return Err(self.stop(&message));
            }
            _ => return Err(self.stop(&format!("Unexpected tag '{tag}'"))),
        };
        Ok(kind)
    }

    fn stop(&mut self, message: &str) -> Stop {
        self.problems.of_file(self.file, "yaml-tag", message);
        Stop
    }

    /// Checks a scalar against what may stand here; what is no string is tried as one.
    fn check(&mut self, token: Token, place: &Place) -> Token {
        match &token.kind {
            Kind::Expression(_) | Kind::Insert => {
                if place.names.is_empty() {
                    let message = "A template expression is not allowed in this context";
                    self.problems.at(&token.place, "expression", message);
                } else if token.kind == Kind::Insert {
                    self.problems.at(&token.place, "expression", "Unexpected value '${{ insert }}'");
                }
                token
            }
            kind if scalar_matches(place.definition, kind) => token,
            kind => {
                let text = literal_text(kind);
                let as_text = Kind::String(text.clone());
                if !matches!(kind, Kind::String(_)) && scalar_matches(place.definition, &as_text) {
                    return Token::new(token.place, as_text);
                }
                let mut known = vec![];
                constants(place.definition, &mut known);
                let hint = nearest(&text, known).map(|near| format!("did you mean \"{near}\"?"));
                self.problems.with_hint(&token.place, "unexpected-value", &format!("Unexpected value '{text}'"), hint);
                token
            }
        }
    }
}

/// The `|` or `>` of the block scalar whose text starts at a mark: on the last line before it that is not empty.
fn block_header(lines: &[&str], text: Mark) -> Option<Mark> {
    let above = lines.get(..(text.line as usize).saturating_sub(1))?;
    let (at, line) = above.iter().enumerate().rfind(|(_, line)| !line.trim().is_empty())?;
    let is_header = |rest: &str| {
        let rest =
            rest.trim_start_matches(['|', '>']).trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        rest.trim().is_empty() || (rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with('#'))
    };
    let byte = line.match_indices(['|', '>']).map(|(byte, _)| byte).find(|byte| is_header(&line[*byte..]))?;
    Some(Mark { line: at as u32 + 1, column: line[..byte].chars().count() as u32 + 1 })
}

/// The place of a part of a scalar, as near as it can be told from its text: the column in a scalar of one line that
/// was not escaped, the line in a literal block; else where the scalar starts.
fn inside(node: &Node, scalar: &Scalar, start: &lem_model::Place, offset: usize) -> lem_model::Place {
    let before = &scalar.text[..offset];
    let chars = scalar.text.chars().count() as u32;
    let quotes = u32::from(matches!(scalar.style, Style::SingleQuoted | Style::DoubleQuoted));
    let mut place = start.clone();
    if scalar.style == Style::Literal {
        place.line += 1 + before.matches('\n').count() as u32;
        place.column = 0;
    } else if node.end.line == node.mark.line && node.end.column == node.mark.column + chars + 2 * quotes {
        place.column += quotes + before.chars().count() as u32;
    }
    place
}

fn resolve(scalar: &Scalar) -> Kind {
    match scalar.resolve() {
        Resolved::Null => Kind::Null,
        Resolved::Bool(value) => Kind::Bool(value),
        Resolved::Int(value) => Kind::Number(value as f64),
        Resolved::Float(value) => Kind::Number(value),
        Resolved::Text(text) => Kind::String(text),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    text.starts_with("0x") || text.starts_with("0o") || digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// How the service writes a literal where text is wanted.
pub(crate) fn literal_text(kind: &Kind) -> String {
    match kind {
        Kind::Bool(value) => value.to_string(),
        Kind::Number(value) => setting_text(*value),
        Kind::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// Significant digits of a number that becomes a setting.
const DIGITS: i32 = 15;

/// A number where text is wanted: at most 15 significant digits, with an exponent from 1E+15 up and below 1E-5.
fn setting_text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return crate::expr::number_to_text(value);
    }
    let text = format!("{value:.14e}");
    let (mantissa, exponent) = text.split_once('e').expect("an exponent format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    if (-5..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent).max(0) as usize;
        let plain = format!("{value:.decimals$}");
        if !plain.contains('.') {
            return plain;
        }
        return plain.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}E{sign}{:02}", exponent.abs())
}
