//! Evaluation: expressions and bodies become values.
//!
//! Nothing is evaluated before it is asked for, and variables, locals, outputs and expansions only once. Values of
//! resources come from whoever implements [`Resolve`]; an answer may be unknown, and that spreads. An [`Evaluator`] keeps
//! what it worked out: ask [`Evaluator::forget`] when answers of the resolver have changed.

mod access;
mod body;
mod expand;
mod expr;
mod names;
mod operators;
mod reference;

pub use body::{AttributeShape, BlockShape, BodyShape, MAX_DYNAMIC_DEPTH, Nesting};
pub use expand::{Expansion, MAX_INSTANCES, Repeat, Repetition};
pub(crate) use operators::equal;
pub use reference::{Names, Reference, Target, body_references, names_of, references};

use crate::address::{ModuleAddress, ResourceAddress};
use crate::config::{Configuration, Module};
use crate::functions::Context;
use crate::syntax::Pos;
use crate::value::Value;
use lem_model::Diagnostic;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Deepest chain of names that need one another while one expression is evaluated.
pub const MAX_DEPTH: usize = 256;

/// A value, or what is wrong and where.
pub type Evaluated<T = Value> = Result<T, Box<Diagnostic>>;

/// Answers for the values of resources.
pub trait Resolve: Sync {
    /// The value of one instance: what is planned or exists, or unknown with the reason. `address` has the key the
    /// instance has; the evaluator asks only for instances the configuration has.
    fn instance(&self, address: &ResourceAddress) -> Value;
}

/// Nobody knows any resource: every instance is unknown and says which it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

impl Resolve for NothingKnown {
    fn instance(&self, address: &ResourceAddress) -> Value {
        Value::unknown(crate::value::Type::Any, format!("{address} is known after apply"))
    }
}

/// Where an expression stands: its module and what the names in it mean there.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// Module.
    pub module: &'s Module,
    /// Which instance of it.
    pub address: &'s ModuleAddress,
    /// `count.index`, `each.key`, `each.value`.
    pub repetition: Option<&'s Repetition>,
    /// `self`.
    pub self_value: Option<&'s Value>,
    frame: Option<&'s Frame<'s>>,
    template: Option<&'s crate::value::Entries>,
}

/// A variable of a `for` or a dynamic block.
#[derive(Debug)]
struct Frame<'s> {
    name: &'s str,
    value: Value,
    outer: Option<&'s Frame<'s>>,
}

impl<'s> Scope<'s> {
    /// The top of a module.
    pub fn new(module: &'s Module, address: &'s ModuleAddress) -> Self {
        Self { module, address, repetition: None, self_value: None, frame: None, template: None }
    }

    /// The same for one instance of a resource or call.
    pub fn repeated(self, repetition: &'s Repetition) -> Self {
        Self { repetition: Some(repetition), ..self }
    }

    /// The same with `self`.
    pub fn with_self(self, value: &'s Value) -> Self {
        Self { self_value: Some(value), ..self }
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        let mut frame = self.frame;
        while let Some(f) = frame {
            if f.name == name {
                return Some(&f.value);
            }
            frame = f.outer;
        }
        self.template?.get(name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item {
    Variable(Arc<str>),
    Local(Arc<str>),
    Output(Arc<str>),
    Expansion(crate::config::ResourceKey),
    Calls(Arc<str>),
}

type Named = (ModuleAddress, Item);

/// Values of one configuration with one set of inputs.
#[derive(Debug)]
pub struct Evaluator<'a> {
    config: &'a Configuration,
    inputs: BTreeMap<Arc<str>, Value>,
    context: Context,
    values: Mutex<HashMap<Named, Evaluated>>,
    expansions: Mutex<HashMap<Named, Evaluated<Arc<Expansion>>>>,
    running: Mutex<Vec<(std::thread::ThreadId, Named, Pos)>>,
    resolver: Resolver<'a>,
}

struct Resolver<'a>(&'a dyn Resolve);

impl std::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl<'a> Evaluator<'a> {
    /// For a configuration. `inputs` are the variables of the root module as [`crate::config::read_inputs`] gives them.
    pub fn new(
        config: &'a Configuration,
        inputs: BTreeMap<Arc<str>, Value>,
        context: Context,
        resolver: &'a dyn Resolve,
    ) -> Self {
        Self {
            config,
            inputs,
            context,
            values: Mutex::default(),
            expansions: Mutex::default(),
            running: Mutex::default(),
            resolver: Resolver(resolver),
        }
    }

    /// The configuration.
    pub fn configuration(&self) -> &'a Configuration {
        self.config
    }

    /// Forgets every value, because answers of the resolver have changed. Expansions stay.
    pub fn forget(&self) {
        self.values.lock().clear();
    }

    /// Scope of a module instance; an error when the configuration has no such module.
    pub fn scope<'s>(&'s self, address: &'s ModuleAddress) -> Evaluated<Scope<'s>> {
        let missing = || {
            let message = format!("the configuration has no module \"{address}\"");
            Box::new(Diagnostic::error("unknown-module", message, lem_model::Place::file(self.config.folder.clone())))
        };
        Ok(Scope::new(self.config.module(address).ok_or_else(missing)?, address))
    }

    /// Once per name; whoever is asked for again while being worked out is part of a cycle.
    fn once(&self, named: Named, pos: &Pos, work: impl FnOnce() -> Evaluated) -> Evaluated {
        if let Some(known) = self.values.lock().get(&named) {
            return known.clone();
        }
        let _guard = self.enter(&named, pos)?;
        let value = work();
        self.values.lock().insert(named, value.clone());
        value
    }

    fn enter(&self, named: &Named, pos: &Pos) -> Evaluated<Running<'_>> {
        let me = std::thread::current().id();
        let mut running = self.running.lock();
        let mine: Vec<&(_, Named, Pos)> = running.iter().filter(|(thread, _, _)| *thread == me).collect();
        if let Some(start) = mine.iter().position(|(_, other, _)| other == named) {
            let members: Vec<String> =
                mine[start..].iter().map(|(_, item, pos)| format!("{} ({})", show(item), pos.place())).collect();
            let message = format!("cycle: {} needs itself: {}", show(named), members.join(", "));
            return Err(Box::new(Diagnostic::error("cycle", message, pos.place())));
        }
        if mine.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} names need one another here");
            return Err(Box::new(Diagnostic::error("too-deep", message, pos.place())));
        }
        running.push((me, named.clone(), pos.clone()));
        Ok(Running(self))
    }
}

/// Takes the newest name of this thread off again.
struct Running<'e>(&'e Evaluator<'e>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let me = std::thread::current().id();
        let mut running = self.0.running.lock();
        if let Some(last) = running.iter().rposition(|(thread, _, _)| *thread == me) {
            running.remove(last);
        }
    }
}

fn show((module, item): &Named) -> String {
    let name = match item {
        Item::Variable(name) => format!("var.{name}"),
        Item::Local(name) => format!("local.{name}"),
        Item::Output(name) => format!("output.{name}"),
        Item::Expansion((crate::Mode::Data, kind, name)) => format!("data.{kind}.{name}"),
        Item::Expansion((crate::Mode::Managed, kind, name)) => format!("{kind}.{name}"),
        Item::Calls(name) => format!("module.{name}"),
    };
    if module.is_root() { name } else { format!("{module}.{name}") }
}

/// An error at a place.
fn error<T>(code: &str, message: impl Into<String>, pos: &Pos) -> Evaluated<T> {
    Err(Box::new(Diagnostic::error(code, message, pos.place())))
}
