//! The functions of the language.
//!
//! One table says for each its parameters and how unknown and sensitive arguments pass through it; the bodies see only
//! known, plain values unless the table says otherwise. A mark on any argument marks the result.

mod collection;
mod date;
mod encoding;
mod filesystem;
mod hash;
mod network;
mod number;
mod string;
mod table;
mod types;
mod yaml;

pub use table::names;
pub(crate) use table::{Function, find};

use crate::value::{Type, Value, convert};
use std::path::PathBuf;
use std::sync::Arc;

/// Largest file a function reads.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// What functions know of their surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// Folder of the root module: relative paths begin here.
    pub root: PathBuf,
    /// `path.cwd`.
    pub cwd: PathBuf,
    /// `terraform.workspace`.
    pub workspace: String,
    /// Whether an apply runs: then `timestamp()`, `uuid()` and `bcrypt()` have values.
    pub applying: bool,
    /// `plantimestamp()`, and in an apply `timestamp()`.
    pub now: jiff::Timestamp,
}

impl Context {
    /// For planning in a folder at a time.
    pub fn planning(root: impl Into<PathBuf>, now: jiff::Timestamp) -> Self {
        let root = root.into();
        Self { cwd: root.clone(), root, workspace: "default".into(), applying: false, now }
    }
}

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Which argument is to blame, from 0.
    pub(crate) argument: Option<usize>,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { code: "function-error", message, argument: None }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl Fault {
    pub(crate) fn at(mut self, argument: usize) -> Self {
        self.argument = Some(argument);
        self
    }
}

pub(crate) type Outcome = Result<Value, Fault>;

/// How a function takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    /// Converted, not null, known.
    Number,
    Text,
    /// A list, set or tuple of texts.
    Texts,
    /// Anything but null; known as a whole, members may be unknown.
    Any,
    /// The same, and everything in it is known.
    Known,
    /// Anything, null included.
    Nullable,
    /// Anything, null included, and everything in it is known.
    Whole,
    /// As it is: unknown and marked values too.
    Raw,
}

/// Calls a function with evaluated arguments.
pub(crate) fn call(function: &Function, args: &[Value], context: &Context) -> Outcome {
    let (least, most) = (function.params.len() - function.optional, function.params.len());
    let variadic = function.rest.is_some();
    if args.len() < least || (!variadic && args.len() > most) {
        let count = match (variadic, least == most) {
            (true, _) => format!("at least {least}"),
            (_, true) => format!("{least}"),
            _ => format!("{least} to {most}"),
        };
        let message = format!("takes {count} arguments, not {}", args.len());
        return Err(Fault { code: "bad-arguments", message, argument: None });
    }
    let mut plain = Vec::with_capacity(args.len());
    let (mut mark, mut unknown) = (false, None);
    for (i, arg) in args.iter().enumerate() {
        let param = function.params.get(i).copied().or(function.rest).unwrap_or(Param::Any);
        if param == Param::Raw {
            plain.push(arg.clone());
            continue;
        }
        mark |= if function.deep_marks { arg.has_sensitive() } else { arg.unmark().1 };
        let value = if function.deep_marks { arg.revealed_deep() } else { arg.revealed().clone() };
        let value = take(param, value).map_err(|f| f.at(i))?;
        let hidden = match param {
            Param::Any | Param::Nullable => matches!(value, Value::Unknown(_)).then(|| value.first_unknown()).flatten(),
            _ => value.first_unknown(),
        };
        unknown = unknown.or_else(|| hidden.map(|u| Arc::clone(&u.why)));
        plain.push(value);
    }
    if let Some(why) = unknown {
        return Ok(Value::unknown((function.returns)(&plain), why).marked(mark));
    }
    Ok((function.run)(&plain, context)?.marked(mark))
}

fn take(param: Param, value: Value) -> Result<Value, Fault> {
    if value.is_null() && !matches!(param, Param::Nullable | Param::Whole) {
        return Err("the argument must not be null".into());
    }
    let ty = match param {
        Param::Number => Type::Number,
        Param::Text => Type::String,
        Param::Texts => Type::list(Type::String),
        _ => return Ok(value),
    };
    convert(&value, &ty).map_err(|e| Fault { code: "type-mismatch", ..e.to_string().into() })
}

/// A text file for `templatefile`.
pub(crate) fn read_text(context: &Context, path: &str) -> Result<String, String> {
    filesystem::read_text(context, path)
}
