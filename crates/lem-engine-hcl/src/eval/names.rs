//! What names mean: variables, locals, outputs, resources, modules.

use super::{Evaluated, Evaluator, Item, Repeat, Scope, error};
use crate::address::{InstanceKey, Mode, ModuleAddress, ResourceAddress};
use crate::config::{ModuleCall, Output, Resource, Rule, Variable};
use crate::syntax::{Expr, ExprKind, Pos, Step};
use crate::value::{Entries, Type, Value, convert};
use lem_model::{Diagnostic, diagnostic::nearest};
use std::sync::Arc;

impl Evaluator<'_> {
    /// A variable of a module instance.
    pub fn variable(&self, module: &ModuleAddress, variable: &Variable) -> Evaluated {
        let named = (module.clone(), Item::Variable(Arc::clone(&variable.name)));
        self.once(named, &variable.pos, || {
            let given = match module.parent() {
                None => self.inputs.get(&variable.name).cloned(),
                Some(parent) => self.argument(module, &parent, variable)?,
            };
            let value = match given {
                Some(value) if !(value.is_null() && (!variable.nullable && variable.default.is_some())) => value,
                _ => match &variable.default {
                    Some(default) => default.clone(),
                    None if given.is_some() => {
                        return error(
                            "null-variable",
                            format!("var.{} must not be null", variable.name),
                            &variable.pos,
                        );
                    }
                    None => Value::unknown(Type::Any, format!("var.{} has no value", variable.name)),
                },
            };
            let ty = variable.ty.clone().unwrap_or_default();
            let value = convert(&value, &ty).map_err(|e| {
                let message = format!("var.{}: {e}", variable.name);
                Box::new(Diagnostic::error("type-mismatch", message, variable.pos.place()))
            })?;
            Ok(value.marked(variable.sensitive))
        })
    }

    fn argument(
        &self,
        module: &ModuleAddress,
        parent: &ModuleAddress,
        variable: &Variable,
    ) -> Evaluated<Option<Value>> {
        let scope = self.scope(parent)?;
        let Some(step) = module.steps().last() else { return Ok(None) };
        let Some(call) = scope.module.calls.get(&step.name) else { return Ok(None) };
        let Some(expr) = call.arguments.get(&variable.name) else { return Ok(None) };
        let expansion = self.expand_call(parent, call)?;
        let Some(repetition) = expansion.repetition(step.key.as_ref()) else {
            return error("unknown-module", format!("there is no {module}"), &call.pos);
        };
        self.evaluate(expr, &scope.repeated(repetition)).map(Some)
    }

    /// A local of a module instance.
    pub fn local(&self, module: &ModuleAddress, local: &crate::config::Local) -> Evaluated {
        let named = (module.clone(), Item::Local(Arc::clone(&local.name)));
        self.once(named, &local.pos, || self.evaluate(&local.expr, &self.scope(module)?))
    }

    /// An output of a module instance.
    pub fn output(&self, module: &ModuleAddress, output: &Output) -> Evaluated {
        let named = (module.clone(), Item::Output(Arc::clone(&output.name)));
        self.once(named, &output.pos, || {
            let value = self.evaluate(&output.expr, &self.scope(module)?)?;
            if module.is_root() && value.has_sensitive() && !output.sensitive {
                let message = format!("output \"{}\" holds a sensitive value", output.name);
                let diagnostic = Diagnostic::error("sensitive-output", message, output.expr.pos.place());
                return Err(Box::new(diagnostic.with_hint("add sensitive = true to the output")));
            }
            Ok(value.marked(output.sensitive))
        })
    }

    /// Whether a rule holds; `None` while that is not known. The error has the rule's own message.
    pub fn rule(&self, rule: &Rule, scope: &Scope<'_>) -> Evaluated<Option<()>> {
        let value = self.evaluate(&rule.condition, scope)?;
        let value = convert(&value, &Type::Bool).map_err(|e| {
            Box::new(Diagnostic::error("type-mismatch", format!("condition: {e}"), rule.condition.pos.place()))
        })?;
        match value.revealed() {
            Value::Bool(true) => Ok(Some(())),
            Value::Unknown(_) => Ok(None),
            _ => {
                let message = match self.evaluate(&rule.message, scope) {
                    Ok(message) if message.has_sensitive() => {
                        "the condition does not hold (message is sensitive)".into()
                    }
                    Ok(message) => message.as_str().unwrap_or("the condition does not hold").to_owned(),
                    Err(_) => "the condition does not hold".to_owned(),
                };
                error("condition-failed", message, &rule.condition.pos)
            }
        }
    }

    /// Rules of a module's variables; every one that is broken.
    pub fn validate_variables(&self, module: &ModuleAddress) -> Vec<Diagnostic> {
        let Ok(scope) = self.scope(module) else { return vec![] };
        let mut broken = vec![];
        for variable in scope.module.variables.values() {
            match self.variable(module, variable) {
                Err(diagnostic) => broken.push(*diagnostic),
                Ok(_) => {
                    let rules = variable.validations.iter();
                    broken.extend(rules.filter_map(|rule| self.rule(rule, &scope).err()).map(|d| *d));
                }
            }
        }
        broken
    }

    /// The value a name stands for, and how many of the steps behind it were used.
    pub(super) fn reference(
        &self,
        root: &str,
        steps: &[Step],
        pos: &Pos,
        scope: &Scope<'_>,
    ) -> Evaluated<(Value, usize)> {
        if let Some(value) = scope.variable(root) {
            return Ok((value.clone(), 0));
        }
        match root {
            "var" | "local" | "module" | "count" | "each" | "path" | "terraform" => {
                let Some(Step::Attribute(name, at)) = steps.first() else {
                    return error("bad-reference", format!("\"{root}\" needs a name behind it"), pos);
                };
                match root {
                    "var" => Ok((self.variable_named(name, at, scope)?, 1)),
                    "local" => Ok((self.local_named(name, at, scope)?, 1)),
                    "module" => self.module_reference(name, steps, at, scope),
                    "path" => Ok((self.path(name, at, scope)?, 1)),
                    "terraform" if &**name == "workspace" => Ok((Value::string(&self.context.workspace), 1)),
                    "terraform" if &**name == "applying" => Ok((Value::Bool(self.context.applying), 1)),
                    "terraform" => error("unknown-reference", format!("there is no terraform.{name}"), at),
                    _ => Ok((repetition(root, name, at, scope)?, 1)),
                }
            }
            "self" => match scope.self_value {
                Some(value) => Ok((value.clone(), 0)),
                None => error("unknown-reference", "self is known only in provisioners and postconditions", pos),
            },
            "ephemeral" => error("unsupported", "ephemeral resources are not supported yet", pos),
            "data" => match steps {
                [Step::Attribute(kind, _), Step::Attribute(name, at), rest @ ..] => {
                    let (value, used) = self.resource_reference(Mode::Data, kind, name, rest, at, scope)?;
                    Ok((value, used + 2))
                }
                _ => error("bad-reference", "a data source is named by type and name", pos),
            },
            kind => match steps {
                [Step::Attribute(name, _), rest @ ..] => {
                    let (value, used) = self.resource_reference(Mode::Managed, kind, name, rest, pos, scope)?;
                    Ok((value, used + 1))
                }
                _ => {
                    let message = format!("\"{kind}\" is no name that is known here");
                    let known = ["var", "local", "module", "data", "each", "count", "path", "self", "terraform"];
                    Err(named_error("unknown-reference", message, kind, known.into_iter(), pos))
                }
            },
        }
    }

    fn variable_named(&self, name: &Arc<str>, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        match scope.module.variables.get(name) {
            Some(variable) => self.variable(scope.address, variable),
            None => {
                let known = scope.module.variables.keys().map(|k| &**k);
                Err(named_error("unknown-reference", format!("there is no variable \"{name}\""), name, known, pos))
            }
        }
    }

    fn local_named(&self, name: &Arc<str>, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        match scope.module.locals.get(name) {
            Some(local) => self.local(scope.address, local),
            None => {
                let known = scope.module.locals.keys().map(|k| &**k);
                Err(named_error("unknown-reference", format!("there is no local \"{name}\""), name, known, pos))
            }
        }
    }

    fn path(&self, name: &str, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        match name {
            "module" => Ok(Value::string(&scope.module.folder)),
            "root" => Ok(Value::string(".")),
            "cwd" => Ok(Value::string(self.context.cwd.display().to_string())),
            _ => Err(named_error(
                "unknown-reference",
                format!("there is no path.{name}"),
                name,
                ["module", "root", "cwd"].into_iter(),
                pos,
            )),
        }
    }

    fn resource_reference(
        &self,
        mode: Mode,
        kind: &str,
        name: &str,
        rest: &[Step],
        pos: &Pos,
        scope: &Scope<'_>,
    ) -> Evaluated<(Value, usize)> {
        let Some(resource) = scope.module.resource(mode, kind, name) else {
            return Err(missing_resource(mode, kind, name, scope, pos));
        };
        let expansion = self.expand(scope.address, resource)?;
        let address = ResourceAddress {
            module: scope.address.clone(),
            mode,
            kind: Arc::clone(&resource.kind),
            name: Arc::clone(&resource.name),
            key: None,
        };
        // One instance is asked for alone, so that it waits for no other and a large resource is not put together.
        if expansion.repeat != Repeat::Single
            && let Some(Step::Index(key)) = rest.first()
            && let Some(key) = self.known_key(key, scope)?
            && expansion.repetition(Some(&key)).is_some()
        {
            return Ok((self.resolver.0.instance(&address.with_key(Some(key))), 1));
        }
        Ok((self.whole_resource(&address, resource, &expansion), 0))
    }

    fn known_key(&self, expr: &Expr, scope: &Scope<'_>) -> Evaluated<Option<InstanceKey>> {
        let value = match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            _ => self.evaluate(expr, scope)?,
        };
        Ok(match &value {
            Value::String(name) => Some(InstanceKey::Name(Arc::clone(name))),
            Value::Number(n) => n.as_i64().and_then(|i| u64::try_from(i).ok()).map(InstanceKey::Index),
            _ => None,
        })
    }

    fn whole_resource(&self, address: &ResourceAddress, _: &Resource, expansion: &super::Expansion) -> Value {
        let one = |key: &Option<InstanceKey>| self.resolver.0.instance(&address.with_key(key.clone()));
        let keys = expansion.instances.iter().map(|(key, _)| key);
        collect(expansion.repeat, keys, one)
    }

    fn module_reference(
        &self,
        name: &Arc<str>,
        steps: &[Step],
        pos: &Pos,
        scope: &Scope<'_>,
    ) -> Evaluated<(Value, usize)> {
        let Some(call) = scope.module.calls.get(name) else {
            let known = scope.module.calls.keys().map(|k| &**k);
            return Err(named_error("unknown-reference", format!("there is no module \"{name}\""), name, known, pos));
        };
        let expansion = self.expand_call(scope.address, call)?;
        let (key, used) = match (expansion.repeat, steps.get(1)) {
            (Repeat::Single, _) => (None, 1),
            (_, Some(Step::Index(expr))) => match self.known_key(expr, scope)? {
                Some(key) if expansion.repetition(Some(&key)).is_some() => (Some(key), 2),
                _ => return Ok((self.whole_module(call, &expansion, scope)?, 1)),
            },
            _ => return Ok((self.whole_module(call, &expansion, scope)?, 1)),
        };
        let child = scope.address.child(Arc::clone(name), key);
        if let Some(Step::Attribute(output, at)) = steps.get(used) {
            let Some(module) = self.config.module(&child) else {
                let why = format!("module.{name} is not here");
                return Ok((Value::unknown(Type::Any, why), used + 1));
            };
            let Some(output) = module.outputs.get(output) else {
                let known = module.outputs.keys().map(|k| &**k);
                let message = format!("module \"{name}\" has no output \"{output}\"");
                return Err(named_error("unknown-reference", message, output, known, at));
            };
            return Ok((self.output(&child, output)?, used + 1));
        }
        Ok((self.module_outputs(&child)?, used))
    }

    fn whole_module(&self, call: &ModuleCall, expansion: &super::Expansion, scope: &Scope<'_>) -> Evaluated {
        let mut values = vec![];
        for (key, _) in &expansion.instances {
            values.push(self.module_outputs(&scope.address.child(Arc::clone(&call.name), key.clone()))?);
        }
        let keys = expansion.instances.iter().map(|(key, _)| key);
        let mut values = values.into_iter();
        Ok(collect(expansion.repeat, keys, |_| values.next().unwrap_or_else(Value::null)))
    }

    fn module_outputs(&self, address: &ModuleAddress) -> Evaluated {
        let Some(module) = self.config.module(address) else {
            return Ok(Value::unknown(Type::Any, format!("{address} is not here")));
        };
        let mut outputs = Entries::new();
        for (name, output) in &module.outputs {
            outputs.insert(Arc::clone(name), self.output(address, output)?);
        }
        Ok(Value::object(outputs))
    }
}

fn collect<'k>(
    repeat: Repeat,
    keys: impl Iterator<Item = &'k Option<InstanceKey>>,
    mut one: impl FnMut(&Option<InstanceKey>) -> Value,
) -> Value {
    match repeat {
        Repeat::Single => one(&None),
        Repeat::Count => Value::tuple(keys.map(one).collect()),
        Repeat::ForEach => Value::object(
            keys.filter_map(|key| match key {
                Some(InstanceKey::Name(name)) => Some((Arc::clone(name), one(key))),
                _ => None,
            })
            .collect(),
        ),
    }
}

fn repetition(root: &str, name: &str, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
    let found = scope.repetition.and_then(|r| match (root, name) {
        ("count", "index") => r.index.map(|i| Value::int(i as i64)),
        ("each", "key") => r.each.as_ref().map(|(key, _)| key.clone()),
        ("each", "value") => r.each.as_ref().map(|(_, value)| value.clone()),
        _ => None,
    });
    match found {
        Some(value) => Ok(value),
        None => {
            let needs = if root == "count" { "count" } else { "for_each" };
            error("unknown-reference", format!("{root}.{name} is known only where {needs} is set"), pos)
        }
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "errors of evaluation are boxed")]
fn missing_resource(mode: Mode, kind: &str, name: &str, scope: &Scope<'_>, pos: &Pos) -> Box<Diagnostic> {
    let word = if mode == Mode::Data { "data source" } else { "resource" };
    let message = format!("there is no {word} {kind}.{name} in this module");
    let known: Vec<String> =
        scope.module.resources.keys().filter(|(m, _, _)| *m == mode).map(|(_, k, n)| format!("{k}.{n}")).collect();
    let wanted = format!("{kind}.{name}");
    named_error("unknown-reference", message, &wanted, known.iter().map(String::as_str), pos)
}

/// An error about a name, with the nearest one that is known.
#[expect(clippy::unnecessary_box_returns, reason = "errors of evaluation are boxed")]
pub(super) fn named_error<'n>(
    code: &str,
    message: String,
    name: &str,
    known: impl Iterator<Item = &'n str>,
    pos: &Pos,
) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::error(code, message, pos.place());
    Box::new(match nearest(name, known) {
        Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
        None => diagnostic,
    })
}
