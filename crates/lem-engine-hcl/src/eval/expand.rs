//! How many instances a resource or module call has, and what `count` and `each` are in each.

use super::{Evaluated, Evaluator, Item, Scope, error};
use crate::address::{InstanceKey, ModuleAddress};
use crate::config::{ModuleCall, Resource};
use crate::syntax::{Expr, Pos};
use crate::value::{Type, Value, convert};
use lem_model::Diagnostic;
use std::collections::HashMap;
use std::sync::Arc;

/// Instances of one resource or call at most.
pub const MAX_INSTANCES: usize = 100_000;

/// What repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing: one instance without a key.
    Single,
    /// `count`.
    Count,
    /// `for_each`.
    ForEach,
}

/// `count.index` or `each` of one instance.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Repetition {
    /// `count.index`.
    pub index: Option<u64>,
    /// `each.key` and `each.value`.
    pub each: Option<(Value, Value)>,
}

/// The instances.
#[derive(Clone, Debug)]
pub struct Expansion {
    /// What repeats.
    pub repeat: Repeat,
    /// Keys with what they mean, in order.
    pub instances: Vec<(Option<InstanceKey>, Repetition)>,
    keys: HashMap<InstanceKey, usize>,
}

impl Expansion {
    fn new(repeat: Repeat, instances: Vec<(Option<InstanceKey>, Repetition)>) -> Self {
        let keys = instances.iter().enumerate().filter_map(|(i, (key, _))| Some((key.clone()?, i))).collect();
        Self { repeat, instances, keys }
    }

    /// What a key means; `None` when there is no such instance.
    pub fn repetition(&self, key: Option<&InstanceKey>) -> Option<&Repetition> {
        let index = match key {
            None if self.repeat == Repeat::Single => 0,
            None => return None,
            Some(key) => *self.keys.get(key)?,
        };
        self.instances.get(index).map(|(_, repetition)| repetition)
    }
}

impl Evaluator<'_> {
    /// Instances of a resource in a module instance. `count` and `for_each` must be known, and not sensitive.
    pub fn expand(&self, module: &ModuleAddress, resource: &Resource) -> Evaluated<Arc<Expansion>> {
        let named = (module.clone(), Item::Expansion(resource.key()));
        self.expand_once(named, module, resource.count.as_ref(), resource.for_each.as_ref(), &resource.pos)
    }

    /// Instances of a module call in a module instance.
    pub fn expand_call(&self, module: &ModuleAddress, call: &ModuleCall) -> Evaluated<Arc<Expansion>> {
        let named = (module.clone(), Item::Calls(Arc::clone(&call.name)));
        self.expand_once(named, module, call.count.as_ref(), call.for_each.as_ref(), &call.pos)
    }

    /// Every instance of every module, the root first.
    pub fn module_instances(&self) -> (Vec<ModuleAddress>, Vec<Diagnostic>) {
        let mut found = vec![ModuleAddress::root()];
        let mut diagnostics = vec![];
        let mut next = 0;
        while next < found.len() {
            let address = found[next].clone();
            next += 1;
            let Some(module) = self.config.module(&address) else { continue };
            for call in module.calls.values() {
                let mut path = address.path();
                path.push(Arc::clone(&call.name));
                if !self.config.modules.contains_key(&path) {
                    continue;
                }
                match self.expand_call(&address, call) {
                    Ok(expansion) => {
                        let keys = expansion.instances.iter().map(|(key, _)| key.clone());
                        found.extend(keys.map(|key| address.child(Arc::clone(&call.name), key)));
                    }
                    Err(diagnostic) => diagnostics.push(*diagnostic),
                }
            }
        }
        (found, diagnostics)
    }

    fn expand_once(
        &self,
        named: super::Named,
        module: &ModuleAddress,
        count: Option<&Expr>,
        for_each: Option<&Expr>,
        pos: &Pos,
    ) -> Evaluated<Arc<Expansion>> {
        if let Some(known) = self.expansions.lock().get(&named) {
            return known.clone();
        }
        let _guard = self.enter(&named, pos)?;
        let scope = self.scope(module)?;
        let instances = match (count, for_each) {
            (Some(_), Some(each)) => error("count-and-for-each", "count and for_each exclude one another", &each.pos),
            (Some(count), None) => self.counted(count, &scope),
            (None, Some(each)) => self.for_each(each, &scope),
            (None, None) => Ok(Expansion::new(Repeat::Single, vec![(None, Repetition::default())])),
        };
        let instances = instances.map(Arc::new);
        self.expansions.lock().insert(named, instances.clone());
        instances
    }

    fn counted(&self, expr: &Expr, scope: &Scope<'_>) -> Evaluated<Expansion> {
        let value = self.evaluate(expr, scope)?;
        refuse_hidden("count", &value, expr)?;
        let number = convert(&value, &Type::Number).map_err(|e| wrong("count", e, expr))?;
        let Some(count) = number.as_number().and_then(|n| n.as_usize()) else {
            return error("bad-count", "count must be a whole number that is not negative", &expr.pos);
        };
        limit(count, expr)?;
        let instance = |i: u64| (Some(InstanceKey::Index(i)), Repetition { index: Some(i), each: None });
        Ok(Expansion::new(Repeat::Count, (0..count as u64).map(instance).collect()))
    }

    fn for_each(&self, expr: &Expr, scope: &Scope<'_>) -> Evaluated<Expansion> {
        let value = self.evaluate(expr, scope)?;
        refuse_hidden("for_each", &value, expr)?;
        let pairs: Vec<(Arc<str>, Value)> = match &value {
            Value::Map(_, entries) | Value::Object(entries) => {
                entries.iter().map(|(k, v)| (Arc::clone(k), v.clone())).collect()
            }
            Value::Set(Type::String | Type::Any, items) => {
                let mut pairs = vec![];
                for item in items.iter() {
                    refuse_hidden("for_each", item, expr)?;
                    let Value::String(key) = item else {
                        return error("bad-for-each", "a key of for_each must not be null", &expr.pos);
                    };
                    pairs.push((Arc::clone(key), item.clone()));
                }
                pairs
            }
            other => {
                let message = format!("for_each takes a map, an object or a set of strings, not {}", other.ty().word());
                let hint = "toset() makes a set of a list";
                return Err(Box::new(Diagnostic::error("bad-for-each", message, expr.pos.place()).with_hint(hint)));
            }
        };
        limit(pairs.len(), expr)?;
        let instance = |(key, value): (Arc<str>, Value)| {
            let each = Some((Value::String(Arc::clone(&key)), value));
            (Some(InstanceKey::Name(key)), Repetition { index: None, each })
        };
        Ok(Expansion::new(Repeat::ForEach, pairs.into_iter().map(instance).collect()))
    }
}

fn refuse_hidden(what: &str, value: &Value, expr: &Expr) -> Evaluated<()> {
    if let Value::Sensitive(_) = value {
        let message = format!("{what} must not be sensitive: its keys are shown in addresses");
        return error("sensitive-repetition", message, &expr.pos);
    }
    if let Value::Unknown(unknown) = value {
        let message = format!("{what} depends on what is not known yet: {} ({})", expr.source.text(), unknown.why);
        let hint = "plan with -exclude or -target so that what it depends on is applied first";
        return Err(Box::new(Diagnostic::error("unknown-repetition", message, expr.pos.place()).with_hint(hint)));
    }
    if value.is_null() {
        return error("null-repetition", format!("{what} must not be null"), &expr.pos);
    }
    Ok(())
}

fn limit(count: usize, expr: &Expr) -> Evaluated<()> {
    if count > MAX_INSTANCES {
        return error("too-many", format!("{count} instances; at most {MAX_INSTANCES} are possible"), &expr.pos);
    }
    Ok(())
}

#[expect(clippy::unnecessary_box_returns, reason = "errors of evaluation are boxed")]
fn wrong(what: &str, e: crate::value::convert::ConvertError, expr: &Expr) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("type-mismatch", format!("{what}: {e}"), expr.pos.place()))
}
