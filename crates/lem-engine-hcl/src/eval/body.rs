//! Bodies of resources, providers and provisioners: arguments and blocks, dynamic ones included, become one object.

use super::{
    Evaluated, Evaluator, Scope, error,
    expr::{bind, pairs},
    names::named_error,
};
use crate::syntax::{Attribute, Block, Body, Expr, ExprKind, Pos};
use crate::value::{Entries, Type, Value, convert};
use lem_model::Diagnostic;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deepest nesting of dynamic blocks.
pub const MAX_DYNAMIC_DEPTH: usize = 16;

/// What may be in a body: a provider's schema of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BodyShape {
    /// Arguments.
    pub attributes: BTreeMap<Arc<str>, AttributeShape>,
    /// Nested blocks.
    pub blocks: BTreeMap<Arc<str>, BlockShape>,
}

/// One argument.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeShape {
    /// Type.
    pub ty: Type,
    /// Whether it must be set.
    pub required: bool,
    /// Whether a configuration may set it.
    pub optional: bool,
    /// Whether the provider may set it.
    pub computed: bool,
    /// Whether its value must not be shown.
    pub sensitive: bool,
}

/// One type of nested block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockShape {
    /// How it nests.
    pub nesting: Nesting,
    /// What is in it.
    pub shape: BodyShape,
    /// Fewest.
    pub min: usize,
    /// Most; 0 for no limit.
    pub max: usize,
}

/// How blocks of a type nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// At most one: an object, null when absent.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// A map by the block's label.
    Map,
}

impl Evaluator<'_> {
    /// The object a body stands for. With a shape every argument is there, null when not set, and of its type; what the
    /// shape does not know is refused by name. Without one arguments stay as they are and blocks become lists of objects.
    /// The value is usable only when there is no error.
    pub fn body(&self, body: &Body, shape: Option<&BodyShape>, scope: &Scope<'_>) -> (Value, Vec<Diagnostic>) {
        let mut reader = BodyReader { evaluator: self, diagnostics: vec![] };
        let value = reader.body(body, shape, scope, 0, None);
        (value, reader.diagnostics)
    }
}

struct BodyReader<'e> {
    evaluator: &'e Evaluator<'e>,
    diagnostics: Vec<Diagnostic>,
}

/// Blocks of one type, or why it is not known how many there are.
#[derive(Default)]
struct Gathered {
    values: Vec<(Option<Arc<str>>, Value)>,
    unknown: Option<Arc<str>>,
    pos: Option<Pos>,
    sensitive: bool,
}

impl BodyReader<'_> {
    fn keep<T>(&mut self, result: Evaluated<T>) -> Option<T> {
        result.map_err(|d| self.diagnostics.push(*d)).ok()
    }

    fn body(
        &mut self,
        body: &Body,
        shape: Option<&BodyShape>,
        scope: &Scope<'_>,
        depth: usize,
        at: Option<&Pos>,
    ) -> Value {
        let mut entries = Entries::new();
        let mut blocks: BTreeMap<Arc<str>, Gathered> = BTreeMap::new();
        for attribute in &body.attributes {
            if let Some(block) = shape.and_then(|s| s.blocks.get(&attribute.name)) {
                self.attribute_as_blocks(attribute, block, &mut blocks, scope);
            } else if let Some(value) = self.attribute(attribute, shape, scope) {
                entries.insert(Arc::clone(&attribute.name), value);
            }
        }
        for block in &body.blocks {
            if &*block.kind == "dynamic" && block.labels.len() == 1 {
                let gathered = blocks.entry(Arc::clone(&block.labels[0])).or_default();
                self.dynamic(block, shape, gathered, scope, depth);
            } else {
                let gathered = blocks.entry(Arc::clone(&block.kind)).or_default();
                let inner = shape.and_then(|s| s.blocks.get(&block.kind));
                if !self.known_block(&block.kind, shape, &block.pos) {
                    continue;
                }
                let value = self.body(&block.body, inner.map(|b| &b.shape), scope, depth, Some(&block.pos));
                gathered.pos.get_or_insert_with(|| block.pos.clone());
                gathered.values.push((block.labels.first().cloned(), value));
            }
        }
        match shape {
            None => entries.extend(blocks.into_iter().map(|(name, gathered)| (name, gathered.loose()))),
            Some(shape) => self.complete(shape, &mut entries, blocks, at),
        }
        Value::object(entries)
    }

    fn attribute(&mut self, attribute: &Attribute, shape: Option<&BodyShape>, scope: &Scope<'_>) -> Option<Value> {
        let value = self.keep(self.evaluator.evaluate(&attribute.expr, scope))?;
        let Some(shape) = shape else { return Some(value) };
        let Some(known) = shape.attributes.get(&attribute.name) else {
            let message = format!("there is no argument \"{}\" here", attribute.name);
            let names = shape.attributes.keys().map(|k| &**k);
            self.diagnostics.push(*named_error("unknown-argument", message, &attribute.name, names, &attribute.pos));
            return None;
        };
        if known.computed && !known.optional && !known.required {
            let message = format!("\"{}\" is set by the provider and cannot be configured", attribute.name);
            self.diagnostics.push(Diagnostic::error("read-only-argument", message, attribute.pos.place()));
            return None;
        }
        if known.required && value.is_null() {
            let message = format!("\"{}\" must not be null", attribute.name);
            self.diagnostics.push(Diagnostic::error("missing-argument", message, attribute.pos.place()));
        }
        match convert(&value, &known.ty) {
            Ok(value) => Some(value),
            Err(e) => {
                let message = format!("{}: {e}", attribute.name);
                self.diagnostics.push(Diagnostic::error("type-mismatch", message, attribute.expr.pos.place()));
                None
            }
        }
    }

    fn known_block(&mut self, kind: &str, shape: Option<&BodyShape>, pos: &Pos) -> bool {
        let Some(shape) = shape else { return true };
        if shape.blocks.contains_key(kind) {
            return true;
        }
        let message = format!("there is no block \"{kind}\" here");
        let names = shape.blocks.keys().map(|k| &**k);
        self.diagnostics.push(*named_error("unknown-block", message, kind, names, pos));
        false
    }

    /// JSON files, and lists assigned to a block's name: one value or a list of them is as many blocks.
    fn attribute_as_blocks(
        &mut self,
        attribute: &Attribute,
        block: &BlockShape,
        blocks: &mut BTreeMap<Arc<str>, Gathered>,
        scope: &Scope<'_>,
    ) {
        let single;
        let items: &[Expr] = match &attribute.expr.kind {
            ExprKind::Tuple(items) => items,
            _ => {
                single = [attribute.expr.clone()];
                &single
            }
        };
        let gathered = blocks.entry(Arc::clone(&attribute.name)).or_default();
        gathered.pos = Some(attribute.pos.clone());
        for item in items {
            let ExprKind::Object(pairs) = &item.kind else {
                let message = format!("\"{}\" is a block: write {} {{ ... }}", attribute.name, attribute.name);
                self.diagnostics.push(Diagnostic::error("type-mismatch", message, item.pos.place()));
                continue;
            };
            let attributes = pairs.iter().filter_map(|(key, value)| match &key.kind {
                ExprKind::Literal(Value::String(name)) => {
                    Some(Attribute { name: Arc::clone(name), expr: value.clone(), pos: key.pos.clone() })
                }
                _ => None,
            });
            let body = Body { attributes: attributes.collect(), blocks: vec![] };
            let value = self.body(&body, Some(&block.shape), scope, 0, Some(&item.pos));
            gathered.values.push((None, value));
        }
    }

    fn dynamic(
        &mut self,
        block: &Block,
        shape: Option<&BodyShape>,
        gathered: &mut Gathered,
        scope: &Scope<'_>,
        depth: usize,
    ) {
        let kind = &block.labels[0];
        if !self.known_block(kind, shape, &block.pos) {
            return;
        }
        gathered.pos.get_or_insert_with(|| block.pos.clone());
        if depth >= MAX_DYNAMIC_DEPTH {
            let message = format!("dynamic blocks nest at most {MAX_DYNAMIC_DEPTH} deep");
            self.diagnostics.push(Diagnostic::error("too-deep", message, block.pos.place()));
            return;
        }
        let (Some(for_each), Some(content)) =
            (block.body.attribute("for_each"), block.body.blocks_of("content").next())
        else {
            let message = format!("dynamic \"{kind}\" needs for_each and content");
            self.diagnostics.push(Diagnostic::error("missing-argument", message, block.pos.place()));
            return;
        };
        let iterator = self.iterator(block).unwrap_or_else(|| Arc::clone(kind));
        let Some(collection) = self.keep(self.evaluator.evaluate(&for_each.expr, scope)) else { return };
        let (plain, mark) = collection.unmark();
        gathered.sensitive |= mark;
        let Some(found) = self.keep(pairs(plain, &for_each.expr.pos)) else { return };
        let Some(found) = found else {
            gathered.unknown = plain.first_unknown().map(|u| Arc::clone(&u.why));
            return;
        };
        let inner = shape.and_then(|s| s.blocks.get(kind)).map(|b| &b.shape);
        let evaluator = self.evaluator;
        for (key, value) in found {
            let each = Value::object([("key".into(), key), ("value".into(), value)].into());
            let bound = bind(None, (&iterator, each), scope, &mut |scope| {
                let label = match block.body.attribute("labels") {
                    Some(labels) => evaluator.evaluate(&labels.expr, scope)?.items().and_then(<[_]>::first).cloned(),
                    None => None,
                };
                let value = self.body(&content.body, inner, scope, depth + 1, Some(&content.pos));
                gathered.values.push((label.as_ref().and_then(Value::as_str).map(Arc::from), value));
                Ok(())
            });
            self.keep(bound);
        }
    }

    fn iterator(&mut self, block: &Block) -> Option<Arc<str>> {
        let attribute = block.body.attribute("iterator")?;
        match &attribute.expr.kind {
            ExprKind::Reference { root, steps } if steps.is_empty() => Some(Arc::clone(root)),
            ExprKind::Literal(Value::String(name)) => Some(Arc::clone(name)),
            _ => {
                self.keep::<()>(error("bad-reference", "iterator is a single name", &attribute.expr.pos));
                None
            }
        }
    }

    fn complete(
        &mut self,
        shape: &BodyShape,
        entries: &mut Entries,
        mut blocks: BTreeMap<Arc<str>, Gathered>,
        at: Option<&Pos>,
    ) {
        for (name, attribute) in &shape.attributes {
            if !entries.contains_key(name) {
                if attribute.required
                    && let Some(pos) = at
                {
                    let message = format!("the argument \"{name}\" is required");
                    self.diagnostics.push(Diagnostic::error("missing-argument", message, pos.place()));
                }
                entries.insert(Arc::clone(name), Value::Null(attribute.ty.without_optional()));
            }
        }
        for (name, block) in &shape.blocks {
            let gathered = blocks.remove(name).unwrap_or_default();
            let count = gathered.values.len();
            let pos = gathered.pos.as_ref().or(at);
            if let Some(pos) = pos.filter(|_| gathered.unknown.is_none()) {
                let most = if block.nesting == Nesting::Single { 1 } else { block.max };
                let message = match (count < block.min, most > 0 && count > most) {
                    (true, _) => Some(format!("at least {} blocks \"{name}\" are needed", block.min)),
                    (_, true) => Some(format!("at most {most} blocks \"{name}\" are possible")),
                    _ => None,
                };
                if let Some(message) = message {
                    self.diagnostics.push(Diagnostic::error("block-count", message, pos.place()));
                }
            }
            entries.insert(Arc::clone(name), gathered.nested(block));
        }
    }
}

impl Gathered {
    /// Without a schema: a list of objects.
    fn loose(self) -> Value {
        let value = match self.unknown {
            Some(why) => Value::unknown(Type::Any, why),
            None => Value::tuple(self.values.into_iter().map(|(_, value)| value).collect()),
        };
        value.marked(self.sensitive)
    }

    fn nested(self, block: &BlockShape) -> Value {
        let element = block.shape.ty();
        let sensitive = self.sensitive;
        if let Some(why) = self.unknown {
            return Value::unknown(block.ty(), why).marked(sensitive);
        }
        let values = self.values.into_iter();
        let value = match block.nesting {
            Nesting::Single => values.map(|(_, v)| v).next().unwrap_or(Value::Null(element)),
            Nesting::List => Value::list(element, values.map(|(_, v)| v).collect()),
            Nesting::Set => Value::set(element, values.map(|(_, v)| v).collect()),
            Nesting::Map => Value::map(element, values.map(|(k, v)| (k.unwrap_or_else(|| Arc::from("")), v)).collect()),
        };
        value.marked(sensitive)
    }
}

impl BodyShape {
    /// Type of the object a body of this shape becomes.
    pub fn ty(&self) -> Type {
        let attributes = self.attributes.iter().map(|(name, a)| (Arc::clone(name), a.ty.without_optional()));
        let blocks = self.blocks.iter().map(|(name, b)| (Arc::clone(name), b.ty()));
        Type::object(attributes.chain(blocks).collect())
    }
}

impl BlockShape {
    /// Type of what blocks of this type become.
    pub fn ty(&self) -> Type {
        let element = self.shape.ty();
        match self.nesting {
            Nesting::Single => element,
            Nesting::List => Type::list(element),
            Nesting::Set => Type::set(element),
            Nesting::Map => Type::map(element),
        }
    }
}
