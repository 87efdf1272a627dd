//! Resources and data sources with their meta arguments.

use super::{Decoder, provider_ref};
use crate::address::Mode;
use crate::config::{IgnoreChanges, Lifecycle, PathStep, Provisioner, Resource};
use crate::syntax::{Block, Body, Expr, ExprKind, Step};
use crate::value::Value;
use std::sync::Arc;

impl Decoder<'_> {
    pub(super) fn resource(&mut self, block: &Block, mode: Mode) {
        let (kind, name) = (Arc::clone(&block.labels[0]), Arc::clone(&block.labels[1]));
        let meta = ["count", "for_each", "provider", "depends_on"];
        let mut body = block.body.clone();
        body.attributes.retain(|a| !meta.contains(&&*a.name));
        body.blocks.retain(|b| !matches!(&*b.kind, "lifecycle" | "provisioner" | "connection"));
        let mut provider = None;
        if let Some(attribute) = block.body.attribute("provider") {
            provider = provider_ref(&attribute.expr);
            if provider.is_none() {
                self.report("bad-reference", "provider is a name such as aws.west", &attribute.expr.pos);
            }
        }
        let resource = Resource {
            mode,
            count: block.body.attribute("count").map(|a| a.expr.clone()),
            for_each: block.body.attribute("for_each").map(|a| a.expr.clone()),
            provider,
            depends_on: self.references(&block.body, "depends_on"),
            lifecycle: self.lifecycle(&block.body),
            provisioners: self.provisioners(&block.body),
            connection: block.body.blocks_of("connection").next().map(|b| b.body.clone()),
            pos: block.pos.clone(),
            end_line: block.end_line,
            body,
            kind,
            name,
        };
        if let (Some(_), Some(each)) = (&resource.count, &resource.for_each) {
            self.report("count-and-for-each", "count and for_each exclude one another", &each.pos);
        }
        let key = resource.key();
        if let Some(first) = self.module.resources.get(&key) {
            let first = first.pos.clone();
            return self.duplicate("resource", &format!("{}.{}", key.1, key.2), &first, &block.pos);
        }
        self.module.resources.insert(key, resource);
    }

    fn lifecycle(&mut self, body: &Body) -> Lifecycle {
        let mut lifecycle = Lifecycle::default();
        for block in body.blocks_of("lifecycle") {
            let known = ["create_before_destroy", "prevent_destroy", "ignore_changes", "replace_triggered_by"];
            self.only(&block.body, &known, &["precondition", "postcondition"]);
            lifecycle.create_before_destroy = self.flag(&block.body, "create_before_destroy");
            lifecycle.prevent_destroy = self.flag(&block.body, "prevent_destroy");
            lifecycle.replace_triggered_by = self.references(&block.body, "replace_triggered_by");
            lifecycle.preconditions = self.rules(&block.body, "precondition");
            lifecycle.postconditions = self.rules(&block.body, "postcondition");
            if let Some(attribute) = block.body.attribute("ignore_changes") {
                lifecycle.ignore_changes = self.ignored(&attribute.expr);
            }
        }
        lifecycle
    }

    fn ignored(&mut self, expr: &Expr) -> IgnoreChanges {
        match &expr.kind {
            ExprKind::Reference { root, steps } if &**root == "all" && steps.is_empty() => IgnoreChanges::All,
            ExprKind::Literal(value) if value.as_str() == Some("all") => IgnoreChanges::All,
            ExprKind::Tuple(items) => {
                let references: Vec<Expr> = items.iter().filter_map(|item| self.reference(item)).collect();
                let paths: Vec<_> = references.iter().filter_map(|item| self.path(item)).collect();
                IgnoreChanges::Paths(paths)
            }
            _ => {
                self.report("type-mismatch", "ignore_changes is a list of attributes, or all", &expr.pos);
                IgnoreChanges::None
            }
        }
    }

    fn path(&mut self, expr: &Expr) -> Option<Vec<PathStep>> {
        let ExprKind::Reference { root, steps } = &expr.kind else {
            self.report("bad-reference", "this must name an attribute", &expr.pos);
            return None;
        };
        let mut path = vec![PathStep::Attribute(Arc::clone(root))];
        for step in steps {
            path.push(match step {
                Step::Attribute(name, _) => PathStep::Attribute(Arc::clone(name)),
                Step::Index(Expr { kind: ExprKind::Literal(Value::String(key)), .. }) => PathStep::Key(Arc::clone(key)),
                Step::Index(Expr { kind: ExprKind::Literal(Value::Number(n)), .. }) if n.as_usize().is_some() => {
                    PathStep::Index(n.as_usize().unwrap_or_default() as u64)
                }
                _ => {
                    self.report("bad-reference", "a path has only names and constant keys", &expr.pos);
                    return None;
                }
            });
        }
        Some(path)
    }

    fn provisioners(&mut self, body: &Body) -> Vec<Provisioner> {
        let mut found = vec![];
        for block in body.blocks_of("provisioner") {
            let Some(kind) = block.labels.first() else {
                self.report("bad-labels", "a provisioner needs its type as label", &block.pos);
                continue;
            };
            let mut inner = block.body.clone();
            let word = |name: &str| {
                let attribute = block.body.attribute(name)?;
                match &attribute.expr.kind {
                    ExprKind::Reference { root, .. } => Some(root.to_string()),
                    ExprKind::Literal(value) => value.as_str().map(str::to_owned),
                    _ => None,
                }
            };
            inner.attributes.retain(|a| !matches!(&*a.name, "when" | "on_failure"));
            found.push(Provisioner {
                kind: Arc::clone(kind),
                on_destroy: word("when").as_deref() == Some("destroy"),
                keep_going: word("on_failure").as_deref() == Some("continue"),
                body: inner,
                pos: block.pos.clone(),
            });
        }
        found
    }
}
