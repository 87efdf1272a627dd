//! Addresses of modules and resources: `module.a["x"].aws_instance.b[0]`, parsed and printed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest address that is read.
pub const MAX_ADDRESS_BYTES: usize = 4096;

/// Which instance of a resource or module with `count` or `for_each`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InstanceKey {
    /// Of `count`.
    Index(u64),
    /// Of `for_each`.
    Name(Arc<str>),
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Name(name) => {
                f.write_str("[\"")?;
                for c in name.chars() {
                    match c {
                        '"' => f.write_str("\\\"")?,
                        '\\' => f.write_str("\\\\")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"]")
            }
        }
    }
}

/// Managed by us, or only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// `resource`.
    Managed,
    /// `data`.
    Data,
}

/// One call on the way to a module instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleStep {
    /// Name of the call.
    pub name: Arc<str>,
    /// Which instance, where the call has `count` or `for_each`.
    pub key: Option<InstanceKey>,
}

/// A module instance: the calls that lead to it; none for the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ModuleAddress(Arc<[ModuleStep]>);

impl ModuleAddress {
    /// The root module.
    pub fn root() -> Self {
        Self::default()
    }

    /// Made of steps.
    pub fn new(steps: Vec<ModuleStep>) -> Self {
        Self(steps.into())
    }

    /// A module called from this one.
    pub fn child(&self, name: Arc<str>, key: Option<InstanceKey>) -> Self {
        Self(self.0.iter().cloned().chain([ModuleStep { name, key }]).collect())
    }

    /// The module that calls this one; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        Some(Self(before.into()))
    }

    /// Steps from the root.
    pub fn steps(&self) -> &[ModuleStep] {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of the calls, without keys.
    pub fn path(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|s| Arc::clone(&s.name)).collect()
    }
}

impl fmt::Display for ModuleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            write!(f, "{}module.{}", if i == 0 { "" } else { "." }, step.name)?;
            if let Some(key) = &step.key {
                write!(f, "{key}")?;
            }
        }
        Ok(())
    }
}

/// A resource, or with a key one instance of it, in a module instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceAddress {
    /// Module instance it is in.
    pub module: ModuleAddress,
    /// `resource` or `data`.
    pub mode: Mode,
    /// `aws_instance`.
    pub kind: Arc<str>,
    /// Name in its module.
    pub name: Arc<str>,
    /// Which instance; `None` for one without `count` and `for_each`, and for the resource as a whole.
    pub key: Option<InstanceKey>,
}

impl ResourceAddress {
    /// The resource as a whole.
    pub fn whole(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// One instance of it.
    pub fn with_key(&self, key: Option<InstanceKey>) -> Self {
        Self { key, ..self.clone() }
    }
}

impl fmt::Display for ResourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        if self.mode == Mode::Data {
            f.write_str("data.")?;
        }
        write!(f, "{}.{}", self.kind, self.name)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "{key}"))
    }
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no resource address: {why}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A part of an address between dots, with the key behind it.
type Part = (String, Option<InstanceKey>);

impl FromStr for ResourceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { text: text.chars().take(200).collect(), why };
        let parts = split(text).map_err(fail)?;
        let (module, mut rest) = modules(&parts).map_err(fail)?;
        let mode = match rest.first() {
            Some((word, None)) if word == "data" => {
                rest = &rest[1..];
                Mode::Data
            }
            _ => Mode::Managed,
        };
        match rest {
            [(kind, None), (name, key)] => {
                Ok(Self { module, mode, kind: kind.as_str().into(), name: name.as_str().into(), key: key.clone() })
            }
            [] | [_] => Err(fail("a resource has a type and a name")),
            _ => Err(fail("only module calls may come before a resource's type and name")),
        }
    }
}

impl FromStr for ModuleAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let fail = |why| AddressError { text: text.chars().take(200).collect(), why };
        let parts = split(text).map_err(fail)?;
        match modules(&parts).map_err(fail)? {
            (module, []) => Ok(module),
            _ => Err(fail("a module address consists of \"module.NAME\" steps")),
        }
    }
}

fn modules(parts: &[Part]) -> Result<(ModuleAddress, &[Part]), &'static str> {
    let mut steps = vec![];
    let mut rest = parts;
    while let [(word, None), tail @ ..] = rest
        && word == "module"
    {
        let [(name, key), after @ ..] = tail else { return Err("\"module\" needs a name") };
        steps.push(ModuleStep { name: name.as_str().into(), key: key.clone() });
        rest = after;
    }
    Ok((ModuleAddress::new(steps), rest))
}

fn split(text: &str) -> Result<Vec<Part>, &'static str> {
    if text.len() > MAX_ADDRESS_BYTES {
        return Err("it is too long");
    }
    let mut parts = vec![];
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return Err("a name has letters, digits, _ and -");
        }
        rest = &rest[end..];
        let mut key = None;
        if let Some(inside) = rest.strip_prefix('[') {
            let (found, after) = parse_key(inside)?;
            (key, rest) = (Some(found), after);
        }
        parts.push((name.to_owned(), key));
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(parts),
            None => return Err("a dot is missing"),
        }
    }
}

fn parse_key(inside: &str) -> Result<(InstanceKey, &str), &'static str> {
    let Some(quoted) = inside.strip_prefix('"') else {
        let end = inside.find(']').ok_or("a bracket is not closed")?;
        let index = inside[..end].parse().map_err(|_| "a key is a whole number or a quoted text")?;
        return Ok((InstanceKey::Index(index), &inside[end + 1..]));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let after = quoted[at + 1..].strip_prefix(']').ok_or("a bracket is not closed")?;
                return Ok((InstanceKey::Name(name.into()), after));
            }
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => name.push('\n'),
                Some('r') => name.push('\r'),
                Some('t') => name.push('\t'),
                Some(c @ ('"' | '\\')) => name.push(c),
                _ => return Err("an escape is not known"),
            },
            c => name.push(c),
        }
    }
    Err("a quote is not closed")
}
