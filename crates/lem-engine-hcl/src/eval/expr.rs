//! Expressions.

use super::{Evaluated, Evaluator, Frame, Scope, error, operators};
use crate::functions;
use crate::syntax::{Expr, ExprKind, For, ForPart, Part, Pos};
use crate::value::{Entries, Type, Value, convert, unify};
use lem_model::Diagnostic;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Elements a `for` may walk, and bytes a template may write.
pub(crate) const MAX_ELEMENTS: usize = 1_000_000;
pub(crate) const MAX_TEXT_BYTES: usize = 64 << 20;

impl Evaluator<'_> {
    /// The value of an expression.
    pub fn evaluate(&self, expr: &Expr, scope: &Scope<'_>) -> Evaluated {
        match &expr.kind {
            ExprKind::Literal(value) => Ok(value.clone()),
            ExprKind::Template(parts) => self.template(parts, &expr.pos, scope),
            ExprKind::Reference { root, steps } => {
                let (value, used) = self.reference(root, steps, &expr.pos, scope)?;
                self.walk(value, &steps[used..], scope)
            }
            ExprKind::Traversal { base, steps } => self.walk(self.evaluate(base, scope)?, steps, scope),
            ExprKind::Call { name, args, spread } => self.call(name, args, *spread, &expr.pos, scope),
            ExprKind::Conditional(arms) => self.conditional(arms, scope),
            ExprKind::Unary(op, inner) => operators::unary(*op, &self.evaluate(inner, scope)?, &inner.pos),
            ExprKind::Binary(op, sides) => {
                let left = self.evaluate(&sides[0], scope)?;
                let right = self.evaluate(&sides[1], scope)?;
                operators::binary(*op, &left, &right, &sides[0].pos, &sides[1].pos)
            }
            ExprKind::Tuple(items) => {
                Ok(Value::tuple(items.iter().map(|item| self.evaluate(item, scope)).collect::<Result<_, _>>()?))
            }
            ExprKind::Object(pairs) => self.object(pairs, scope),
            ExprKind::For(f) => self.for_expr(f, scope),
        }
    }

    fn object(&self, pairs: &[(Expr, Expr)], scope: &Scope<'_>) -> Evaluated {
        let mut entries = Entries::new();
        let (mut unknown, mut mark) = (None, false);
        for (key_expr, value_expr) in pairs {
            let key = self.evaluate(key_expr, scope)?;
            let value = self.evaluate(value_expr, scope)?;
            mark |= key.unmark().1;
            match key_text(&key, &key_expr.pos)? {
                Ok(name) => {
                    entries.insert(name, value);
                }
                Err(why) => unknown = Some(why),
            }
        }
        let object = unknown.map_or_else(|| Value::object(entries), |why| Value::unknown(Type::Any, why));
        Ok(object.marked(mark))
    }

    fn conditional(&self, arms: &[Expr; 3], scope: &Scope<'_>) -> Evaluated {
        let [condition, yes, no] = arms;
        let value = self.evaluate(condition, scope)?;
        let (plain, mark) = value.unmark();
        let decided = convert(plain, &Type::Bool).map_err(|e| {
            Box::new(Diagnostic::error("type-mismatch", format!("condition: {e}"), condition.pos.place()))
        })?;
        let result = match decided {
            Value::Bool(true) => one_arm(self.evaluate(yes, scope)?, self.evaluate(no, scope).ok(), &yes.pos)?,
            Value::Bool(false) => one_arm(self.evaluate(no, scope)?, self.evaluate(yes, scope).ok(), &no.pos)?,
            Value::Unknown(unknown) => {
                let (yes, no) = (self.evaluate(yes, scope)?, self.evaluate(no, scope)?);
                let Some(ty) = unify([yes.ty(), no.ty()]) else { return unlike_arms(&yes, &no, &condition.pos) };
                let hidden = yes.has_sensitive() || no.has_sensitive();
                Value::unknown(ty, unknown.why).marked(hidden)
            }
            _ => return error("null-value", "a condition must not be null", &condition.pos),
        };
        Ok(result.marked(mark))
    }

    fn call(&self, name: &str, args: &[Expr], spread: bool, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        let name = name.strip_prefix("core::").unwrap_or(name);
        match name {
            "try" => return self.try_call(args, pos, scope),
            "can" => return self.can(args, pos, scope),
            "templatefile" | "templatestring" => return self.template_call(name, args, spread, pos, scope),
            _ => {}
        }
        let Some(function) = functions::find(name) else {
            let message = format!("there is no function \"{name}\"");
            return Err(super::names::named_error("unknown-function", message, name, functions::names(), pos));
        };
        let mut values = vec![];
        let mut places: Vec<&Pos> = vec![];
        for (i, arg) in args.iter().enumerate() {
            let value = self.evaluate(arg, scope)?;
            if spread && i + 1 == args.len() {
                let (plain, mark) = value.unmark();
                if let Value::Unknown(unknown) = plain {
                    return Ok(Value::unknown(Type::Any, Arc::clone(&unknown.why)).marked(mark));
                }
                let Some(items) = plain.items() else {
                    return error("bad-arguments", "only a list can be spread by ...", &arg.pos);
                };
                values.extend(items.iter().map(|item| item.clone().marked(mark)));
                places.extend(items.iter().map(|_| &arg.pos));
            } else {
                values.push(value);
                places.push(&arg.pos);
            }
        }
        functions::call(function, &values, &self.context).map_err(|fault| {
            let at = fault.argument.and_then(|i| places.get(i).copied()).unwrap_or(pos);
            Box::new(Diagnostic::error(fault.code, format!("{name}(): {}", fault.message), at.place()))
        })
    }

    fn try_call(&self, args: &[Expr], pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        for arg in args {
            match self.evaluate(arg, scope) {
                Ok(value) => return Ok(value),
                Err(diagnostic) if is_static(&diagnostic) => return Err(diagnostic),
                Err(_) => {}
            }
        }
        error("function-error", "try(): none of the arguments has a value", pos)
    }

    fn can(&self, args: &[Expr], pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        let [arg] = args else { return error("bad-arguments", "can() takes one argument", pos) };
        match self.evaluate(arg, scope) {
            Ok(value) => match value.first_unknown() {
                Some(unknown) if value.is_unknown() => Ok(Value::unknown(Type::Bool, Arc::clone(&unknown.why))),
                _ => Ok(Value::Bool(true)),
            },
            Err(diagnostic) if is_static(&diagnostic) => Err(diagnostic),
            Err(_) => Ok(Value::Bool(false)),
        }
    }

    /// `templatefile(path, vars)` and `templatestring(text, vars)`: a template whose only names are the variables.
    fn template_call(&self, name: &str, args: &[Expr], spread: bool, pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        let [source, vars] = args else { return error("bad-arguments", format!("{name}() takes two arguments"), pos) };
        if spread {
            return error("bad-arguments", format!("{name}() takes no ..."), pos);
        }
        let (source_value, vars_value) = (self.evaluate(source, scope)?, self.evaluate(vars, scope)?);
        let mark = source_value.unmark().1 || vars_value.unmark().1;
        for value in [&source_value, &vars_value] {
            if let Value::Unknown(unknown) = value.revealed() {
                return Ok(Value::unknown(Type::String, Arc::clone(&unknown.why)).marked(mark));
            }
        }
        let Some(text) = source_value.as_str() else {
            return error("type-mismatch", format!("{name}() takes a string"), &source.pos);
        };
        let Some(entries) = vars_value.entries() else {
            return error("type-mismatch", format!("{name}() takes a map of variables"), &vars.pos);
        };
        let fault = |message| error("function-error", format!("{name}(): {message}"), &source.pos);
        let (text, file) = if name == "templatefile" {
            match functions::read_text(&self.context, text) {
                Ok(read) => (read, text.to_owned()),
                Err(message) => return fault(message),
            }
        } else {
            (text.to_owned(), format!("{} (template)", pos.file))
        };
        let template = crate::syntax::parse_template(&text, &file, 1, 1).map_err(Box::new)?;
        if let Some(unknown) = template_unknown_name(&template, entries) {
            let message = format!("the template uses \"{unknown}\", which is none of its variables");
            return error("unknown-reference", message, &template.pos);
        }
        let module = crate::config::Module::default();
        let address = crate::ModuleAddress::root();
        let inner = Scope { template: Some(entries), ..Scope::new(&module, &address) };
        let value = self.evaluate(&template, &inner)?;
        Ok(value.marked(mark))
    }

    fn for_expr(&self, f: &For, scope: &Scope<'_>) -> Evaluated {
        let collection = self.evaluate(&f.collection, scope)?;
        let (plain, mut mark) = collection.unmark();
        let Some(pairs) = pairs(plain, &f.collection.pos)? else {
            let why = plain.first_unknown().map_or_else(|| Arc::from(""), |u| Arc::clone(&u.why));
            return Ok(Value::unknown(Type::Any, why).marked(mark));
        };
        let mut items = vec![];
        let mut entries: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        let mut unknown: Option<Arc<str>> = None;
        for (key, value) in pairs {
            let key = f.key.as_deref().map(|name| (name, key));
            bind(key, (&f.value, value), scope, &mut |scope| {
                match self.for_condition(f, scope)? {
                    Ok((false, hidden)) => {
                        mark |= hidden;
                        return Ok(());
                    }
                    Ok((true, hidden)) => mark |= hidden,
                    Err(why) => unknown = Some(why),
                }
                let Some(key_expr) = &f.key_expr else {
                    items.push(self.evaluate(&f.value_expr, scope)?);
                    return Ok(());
                };
                let key = self.evaluate(key_expr, scope)?;
                mark |= key.unmark().1;
                let value = self.evaluate(&f.value_expr, scope)?;
                match key_text(&key, &key_expr.pos)? {
                    Ok(name) => {
                        let members = entries.entry(name).or_default();
                        if !f.group && !members.is_empty() && unknown.is_none() {
                            let message = "two elements give the same key; ... behind the value groups them";
                            return error("duplicate-key", message, &key_expr.pos);
                        }
                        members.push(value);
                    }
                    Err(why) => unknown = Some(why),
                }
                Ok(())
            })?;
        }
        let result = match (unknown, &f.key_expr) {
            (Some(why), _) => Value::unknown(Type::Any, why),
            (None, None) => Value::tuple(items),
            (None, Some(_)) => {
                let group = |members: Vec<Value>| {
                    if f.group { Value::tuple(members) } else { members.into_iter().next().unwrap_or_else(Value::null) }
                };
                Value::object(entries.into_iter().map(|(k, members)| (k, group(members))).collect())
            }
        };
        Ok(result.marked(mark))
    }

    /// Whether the element is taken, and whether that is a secret; the reason when it is not known.
    fn for_condition(&self, f: &For, scope: &Scope<'_>) -> Evaluated<Result<(bool, bool), Arc<str>>> {
        let Some(condition) = &f.condition else { return Ok(Ok((true, false))) };
        let value = self.evaluate(condition, scope)?;
        let mark = value.unmark().1;
        match convert(value.revealed(), &Type::Bool) {
            Ok(Value::Bool(take)) => Ok(Ok((take, mark))),
            Ok(Value::Unknown(unknown)) => Ok(Err(unknown.why)),
            _ => error("type-mismatch", "the condition of a for must be true or false", &condition.pos),
        }
    }

    fn template(&self, parts: &[Part], pos: &Pos, scope: &Scope<'_>) -> Evaluated {
        if let [Part::Interpolation(only)] = parts {
            return self.evaluate(only, scope);
        }
        let mut out = Text::default();
        self.write(parts, &mut out, scope)?;
        if out.text.len() > MAX_TEXT_BYTES {
            return error("too-large", format!("the text has more than {MAX_TEXT_BYTES} bytes"), pos);
        }
        let value = match out.unknown {
            Some(why) => Value::unknown(Type::String, why),
            None => Value::string(out.text),
        };
        Ok(value.marked(out.sensitive))
    }

    fn write(&self, parts: &[Part], out: &mut Text, scope: &Scope<'_>) -> Evaluated<()> {
        for part in parts {
            match part {
                Part::Text(text) => out.text.push_str(text),
                Part::Interpolation(expr) => out.push(&self.evaluate(expr, scope)?, &expr.pos)?,
                Part::If(arms) => {
                    let (condition, yes, no) = &**arms;
                    let value = self.evaluate(condition, scope)?;
                    out.sensitive |= value.unmark().1;
                    match convert(value.revealed(), &Type::Bool) {
                        Ok(Value::Bool(take)) => self.write(if take { yes } else { no }, out, scope)?,
                        Ok(Value::Unknown(unknown)) => out.unknown = Some(unknown.why),
                        _ => return error("type-mismatch", "a condition must be true or false", &condition.pos),
                    }
                }
                Part::For(f) => self.write_for(f, out, scope)?,
            }
            if out.text.len() > MAX_TEXT_BYTES {
                return Ok(());
            }
        }
        Ok(())
    }

    fn write_for(&self, f: &ForPart, out: &mut Text, scope: &Scope<'_>) -> Evaluated<()> {
        let collection = self.evaluate(&f.collection, scope)?;
        let (plain, mark) = collection.unmark();
        out.sensitive |= mark;
        let Some(pairs) = pairs(plain, &f.collection.pos)? else {
            out.unknown = plain.first_unknown().map(|u| Arc::clone(&u.why));
            return Ok(());
        };
        for (key, value) in pairs {
            let key = f.key.as_deref().map(|name| (name, key));
            bind(key, (&f.value, value), scope, &mut |scope| self.write(&f.parts, out, scope))?;
        }
        Ok(())
    }
}

/// Walks with the variables of one element bound.
pub(super) fn bind(
    key: Option<(&str, Value)>,
    value: (&str, Value),
    scope: &Scope<'_>,
    work: &mut dyn FnMut(&Scope<'_>) -> Evaluated<()>,
) -> Evaluated<()> {
    let inner = Frame { name: value.0, value: value.1, outer: scope.frame };
    match key {
        None => work(&Scope { frame: Some(&inner), ..*scope }),
        Some((name, key)) => {
            let outer = Frame { name, value: key, outer: Some(&inner) };
            work(&Scope { frame: Some(&outer), ..*scope })
        }
    }
}

#[derive(Default)]
struct Text {
    text: String,
    unknown: Option<Arc<str>>,
    sensitive: bool,
}

impl Text {
    fn push(&mut self, value: &Value, pos: &Pos) -> Evaluated<()> {
        self.sensitive |= value.has_sensitive();
        match convert(value.revealed(), &Type::String) {
            Ok(Value::String(text)) => self.text.push_str(&text),
            Ok(Value::Unknown(unknown)) => self.unknown = Some(unknown.why),
            Ok(_) => return error("null-value", "null cannot be part of a text", pos),
            Err(e) => return error("type-mismatch", format!("this cannot be part of a text: {e}"), pos),
        }
        Ok(())
    }
}

/// Keys and values of a collection; `None` when it is unknown.
pub(super) fn pairs(value: &Value, pos: &Pos) -> Evaluated<Option<Vec<(Value, Value)>>> {
    let found: Vec<(Value, Value)> = match value {
        Value::Unknown(_) => return Ok(None),
        Value::Null(_) => return error("null-value", "null has no elements to walk", pos),
        Value::Set(_, items) => items.iter().map(|item| (item.clone(), item.clone())).collect(),
        Value::List(_, items) | Value::Tuple(items) => {
            items.iter().enumerate().map(|(i, item)| (Value::int(i as i64), item.clone())).collect()
        }
        Value::Map(_, entries) | Value::Object(entries) => {
            entries.iter().map(|(k, v)| (Value::String(Arc::clone(k)), v.clone())).collect()
        }
        other => return error("type-mismatch", format!("a {} has no elements to walk", other.ty().word()), pos),
    };
    if found.len() > MAX_ELEMENTS {
        return error("too-many", format!("more than {MAX_ELEMENTS} elements"), pos);
    }
    Ok(Some(found))
}

/// Text of an object key, or why it is not known.
fn key_text(key: &Value, pos: &Pos) -> Evaluated<Result<Arc<str>, Arc<str>>> {
    match convert(key.revealed(), &Type::String) {
        Ok(Value::String(name)) => Ok(Ok(name)),
        Ok(Value::Unknown(unknown)) => Ok(Err(unknown.why)),
        Ok(_) => error("null-value", "a key must not be null", pos),
        Err(_) => error("type-mismatch", "a key is a string", pos),
    }
}

/// The chosen arm, converted to what both arms have in common.
fn one_arm(chosen: Value, other: Option<Value>, pos: &Pos) -> Evaluated {
    let Some(other) = other else { return Ok(chosen) };
    let (a, b) = (chosen.ty(), other.ty());
    if a == b {
        return Ok(chosen);
    }
    let Some(ty) = unify([a, b]) else { return unlike_arms(&chosen, &other, pos) };
    convert(&chosen, &ty).map_err(|e| Box::new(Diagnostic::error("type-mismatch", e.to_string(), pos.place())))
}

fn unlike_arms(a: &Value, b: &Value, pos: &Pos) -> Evaluated {
    let message = format!("the two results have no common type: {} and {}", a.ty().word(), b.ty().word());
    error("type-mismatch", message, pos)
}

/// Errors that no value can mend, so that `try` and `can` do not catch them.
fn is_static(diagnostic: &Diagnostic) -> bool {
    matches!(
        diagnostic.code.as_str(),
        "unknown-function" | "unknown-reference" | "bad-arguments" | "cycle" | "too-deep"
    )
}

fn template_unknown_name(template: &Expr, vars: &Entries) -> Option<String> {
    super::references(template).into_iter().find_map(|r| {
        let root = r.root();
        (!vars.contains_key(root.as_str())).then_some(root)
    })
}
