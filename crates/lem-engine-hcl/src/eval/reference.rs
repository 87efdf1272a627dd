//! What an expression refers to, without evaluating it: the edges of the graph.

use crate::address::{InstanceKey, Mode};
use crate::syntax::{Body, Expr, ExprKind, Part, Pos, Step};
use crate::value::Value;
use std::sync::Arc;

/// One reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What it names.
    pub target: Target,
    /// Where.
    pub pos: Pos,
}

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `var.name`
    Variable(Arc<str>),
    /// `local.name`
    Local(Arc<str>),
    /// `module.name`, with the output when one is named.
    Module(Arc<str>, Option<Arc<str>>),
    /// A resource or data source, with the key when it is written as a constant.
    Resource {
        /// Managed or data.
        mode: Mode,
        /// Type.
        kind: Arc<str>,
        /// Name.
        name: Arc<str>,
        /// Which instance.
        key: Option<InstanceKey>,
    },
    /// Anything else: `count`, `each`, `self`, `path`, `terraform`, or a name alone.
    Other(Arc<str>),
}

impl Reference {
    /// The first word of the reference.
    pub fn root(&self) -> String {
        match &self.target {
            Target::Variable(_) => "var".into(),
            Target::Local(_) => "local".into(),
            Target::Module(..) => "module".into(),
            Target::Resource { mode: Mode::Data, .. } => "data".into(),
            Target::Resource { kind, .. } => kind.to_string(),
            Target::Other(name) => name.to_string(),
        }
    }
}

/// Every reference of an expression, in order. Variables of `for` are none.
pub fn references(expr: &Expr) -> Vec<Reference> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.found
}

/// Every reference of a body; iterators of dynamic blocks are none.
pub fn body_references(body: &Body) -> Vec<Reference> {
    let mut walk = Walk::default();
    walk.body(body);
    walk.found
}

/// Names of a body.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// What it refers to.
    pub references: Vec<Reference>,
    /// Functions it calls, with the place of each call.
    pub calls: Vec<(Arc<str>, Pos)>,
}

/// Every reference and every call of a body.
pub fn names_of(body: &Body) -> Names {
    let mut walk = Walk::default();
    walk.body(body);
    Names { references: walk.found, calls: walk.calls }
}

#[derive(Default)]
struct Walk {
    found: Vec<Reference>,
    calls: Vec<(Arc<str>, Pos)>,
    bound: Vec<Arc<str>>,
}

impl Walk {
    fn body(&mut self, body: &Body) {
        for attribute in &body.attributes {
            if &*attribute.name != "iterator" {
                self.expr(&attribute.expr);
            }
        }
        for block in &body.blocks {
            if &*block.kind != "dynamic" {
                self.body(&block.body);
                continue;
            }
            let iterator = block.body.attribute("iterator").and_then(|a| match &a.expr.kind {
                ExprKind::Reference { root, .. } => Some(Arc::clone(root)),
                _ => None,
            });
            if let Some(for_each) = block.body.attribute("for_each") {
                self.expr(&for_each.expr);
            }
            let name = iterator.or_else(|| block.labels.first().cloned());
            self.within(name.into_iter(), |walk| {
                for content in block.body.blocks_of("content") {
                    walk.body(&content.body);
                }
                if let Some(labels) = block.body.attribute("labels") {
                    walk.expr(&labels.expr);
                }
            });
        }
    }

    fn within(&mut self, names: impl Iterator<Item = Arc<str>>, work: impl FnOnce(&mut Self)) {
        let before = self.bound.len();
        self.bound.extend(names);
        work(self);
        self.bound.truncate(before);
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Literal(_) => {}
            ExprKind::Template(parts) => self.parts(parts),
            ExprKind::Reference { root, steps } => {
                if !self.bound.contains(root) {
                    self.found.push(Reference { target: target(root, steps), pos: expr.pos.clone() });
                }
                self.steps(steps);
            }
            ExprKind::Traversal { base, steps } => {
                self.expr(base);
                self.steps(steps);
            }
            ExprKind::Call { name, args, .. } => {
                self.calls.push((Arc::clone(name), expr.pos.clone()));
                for argument in args {
                    self.expr(argument);
                }
            }
            ExprKind::Conditional(arms) => arms.iter().for_each(|a| self.expr(a)),
            ExprKind::Unary(_, inner) => self.expr(inner),
            ExprKind::Binary(_, sides) => sides.iter().for_each(|s| self.expr(s)),
            ExprKind::Tuple(items) => items.iter().for_each(|i| self.expr(i)),
            ExprKind::Object(pairs) => {
                for (key, value) in pairs {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::For(f) => {
                self.expr(&f.collection);
                let names = f.key.iter().chain([&f.value]).cloned();
                self.within(names, |walk| {
                    let inner = [f.key_expr.as_ref(), Some(&f.value_expr), f.condition.as_ref()];
                    inner.into_iter().flatten().for_each(|e| walk.expr(e));
                });
            }
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(_) => {}
                Part::Interpolation(expr) => self.expr(expr),
                Part::If(arms) => {
                    self.expr(&arms.0);
                    self.parts(&arms.1);
                    self.parts(&arms.2);
                }
                Part::For(f) => {
                    self.expr(&f.collection);
                    let names = f.key.iter().chain([&f.value]).cloned();
                    self.within(names, |walk| walk.parts(&f.parts));
                }
            }
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Attribute(..) => {}
                Step::Index(key) => self.expr(key),
                Step::Splat(each, _) => self.steps(each),
            }
        }
    }
}

fn target(root: &Arc<str>, steps: &[Step]) -> Target {
    let name = |i: usize| match steps.get(i) {
        Some(Step::Attribute(name, _)) => Some(Arc::clone(name)),
        _ => None,
    };
    match (&**root, name(0)) {
        ("var", Some(name)) => Target::Variable(name),
        ("local", Some(name)) => Target::Local(name),
        ("module", Some(called)) => {
            let output = name(1).or_else(|| name(2));
            Target::Module(called, output)
        }
        ("data", Some(kind)) => match name(1) {
            Some(name) => Target::Resource { mode: Mode::Data, kind, name, key: constant_key(steps.get(2)) },
            None => Target::Other(Arc::clone(root)),
        },
        ("count" | "each" | "self" | "path" | "terraform" | "ephemeral", _) | (_, None) => {
            Target::Other(Arc::clone(root))
        }
        (_, Some(name)) => {
            Target::Resource { mode: Mode::Managed, kind: Arc::clone(root), name, key: constant_key(steps.get(1)) }
        }
    }
}

fn constant_key(step: Option<&Step>) -> Option<InstanceKey> {
    let Some(Step::Index(Expr { kind: ExprKind::Literal(value), .. })) = step else { return None };
    match value {
        Value::String(name) => Some(InstanceKey::Name(Arc::clone(name))),
        Value::Number(n) => Some(InstanceKey::Index(u64::try_from(n.as_i64()?).ok()?)),
        _ => None,
    }
}
