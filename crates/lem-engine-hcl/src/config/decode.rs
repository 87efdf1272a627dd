//! From the blocks of a file to the parts of a module. Unknown blocks and arguments are named, with the nearest known.

mod constraint;
mod resource;

pub use constraint::constraint;

use super::*;
use crate::syntax::{Attribute, Block, Body, Expr, ExprKind, Pos};
use crate::value::{Value, convert};
use lem_model::{Diagnostic, diagnostic::nearest};
use std::sync::Arc;

const TOP: [&str; 13] = [
    "resource",
    "data",
    "variable",
    "output",
    "locals",
    "module",
    "provider",
    "terraform",
    "moved",
    "removed",
    "import",
    "check",
    "ephemeral",
];

/// Adds what a file says to a module.
pub(super) fn decode(body: &Body, module: &mut Module, diagnostics: &mut Vec<Diagnostic>) {
    let mut decoder = Decoder { module, diagnostics };
    for attribute in &body.attributes {
        let message = format!("\"{}\" is an argument; at the top of a file are only blocks", attribute.name);
        decoder.report("unknown-argument", message, &attribute.pos);
    }
    for block in &body.blocks {
        decoder.block(block);
    }
}

struct Decoder<'d> {
    module: &'d mut Module,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Decoder<'_> {
    fn report(&mut self, code: &str, message: impl Into<String>, pos: &Pos) {
        self.diagnostics.push(Diagnostic::error(code, message, pos.place()));
    }

    fn unknown(&mut self, code: &str, what: &str, name: &str, known: &[&str], pos: &Pos) {
        let diagnostic = Diagnostic::error(code, format!("unknown {what} \"{name}\""), pos.place());
        self.diagnostics.push(match nearest(name, known.iter().copied()) {
            Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
            None => diagnostic,
        });
    }

    fn block(&mut self, block: &Block) {
        let labels = match &*block.kind {
            "resource" | "data" => 2,
            "variable" | "output" | "module" | "provider" | "check" => 1,
            "locals" | "terraform" | "moved" | "removed" | "import" => 0,
            "ephemeral" => {
                return self.report("unsupported", "ephemeral resources are not supported yet", &block.pos);
            }
            other => return self.unknown("unknown-block", "block", other, &TOP, &block.pos),
        };
        if block.labels.len() != labels {
            let message = format!("{} takes {labels} labels, not {}", block.kind, block.labels.len());
            return self.report("bad-labels", message, &block.pos);
        }
        if let Some(bad) = block.labels.iter().find(|l| !identifier(l)) {
            return self.report("bad-name", format!("\"{bad}\" is no name: letters, digits, _ and -"), &block.pos);
        }
        match &*block.kind {
            "resource" => self.resource(block, crate::Mode::Managed),
            "data" => self.resource(block, crate::Mode::Data),
            "variable" => self.variable(block),
            "output" => self.output(block),
            "module" => self.call(block),
            "provider" => self.provider(block),
            "check" => self.check(block),
            "locals" => self.locals(block),
            "terraform" => self.terraform(block),
            "moved" => self.moved(block),
            "removed" => self.removed(block),
            _ => self.import(block),
        }
    }

    /// Names arguments and blocks that are none of the known ones.
    fn only(&mut self, body: &Body, attributes: &[&str], blocks: &[&str]) {
        for attribute in &body.attributes {
            if !attributes.contains(&&*attribute.name) {
                self.unknown("unknown-argument", "argument", &attribute.name, attributes, &attribute.pos);
            }
        }
        for block in &body.blocks {
            if !blocks.contains(&&*block.kind) {
                self.unknown("unknown-block", "block", &block.kind, blocks, &block.pos);
            }
        }
    }

    fn constant(&mut self, attribute: &Attribute) -> Option<Value> {
        let value = constant_value(&attribute.expr);
        if value.is_none() {
            let message = format!("\"{}\" must be a constant", attribute.name);
            self.report("not-constant", message, &attribute.expr.pos);
        }
        value
    }

    fn text(&mut self, body: &Body, name: &str) -> Option<String> {
        let attribute = body.attribute(name)?;
        let value = self.constant(attribute)?;
        let text = convert(&value, &crate::Type::String).ok();
        match text.as_ref().and_then(Value::as_str) {
            Some(text) => Some(text.to_owned()),
            None => {
                self.report("type-mismatch", format!("\"{name}\" must be a string"), &attribute.expr.pos);
                None
            }
        }
    }

    fn flag(&mut self, body: &Body, name: &str) -> Option<bool> {
        let attribute = body.attribute(name)?;
        let value = self.constant(attribute)?;
        let flag = convert(&value, &crate::Type::Bool).ok().and_then(|v| v.as_bool());
        if flag.is_none() {
            self.report("type-mismatch", format!("\"{name}\" must be true or false"), &attribute.expr.pos);
        }
        flag
    }

    fn needed(&mut self, block: &Block, name: &str) -> Option<Expr> {
        let found = block.body.attribute(name).map(|a| a.expr.clone());
        if found.is_none() {
            self.report("missing-argument", format!("{} needs \"{name}\"", block.kind), &block.pos);
        }
        found
    }

    fn duplicate(&mut self, what: &str, name: &str, first: &Pos, pos: &Pos) {
        let message = format!("{what} \"{name}\" is already declared at {}", first.place());
        self.report("duplicate", message, pos);
    }

    fn variable(&mut self, block: &Block) {
        let known = ["type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated"];
        self.only(&block.body, &known, &["validation"]);
        let name = Arc::clone(&block.labels[0]);
        let mut ty = None;
        if let Some(attribute) = block.body.attribute("type") {
            match constraint(&attribute.expr) {
                Ok(found) => ty = Some(found),
                Err(diagnostic) => self.diagnostics.push(*diagnostic),
            }
        }
        let mut default = None;
        if let Some(attribute) = block.body.attribute("default")
            && let Some(value) = self.constant(attribute)
        {
            match convert(&value, ty.as_ref().unwrap_or(&crate::Type::Any)) {
                Ok(value) => default = Some(value),
                Err(e) => self.report("type-mismatch", format!("default: {e}"), &attribute.expr.pos),
            }
        }
        let variable = Variable {
            description: self.text(&block.body, "description"),
            type_text: block.body.attribute("type").map(|a| a.expr.source.text().to_owned()),
            ty,
            default,
            sensitive: self.flag(&block.body, "sensitive").unwrap_or(false),
            nullable: self.flag(&block.body, "nullable").unwrap_or(true),
            ephemeral: self.flag(&block.body, "ephemeral").unwrap_or(false),
            validations: self.rules(&block.body, "validation"),
            pos: block.pos.clone(),
            name: Arc::clone(&name),
        };
        if let Some(first) = self.module.variables.get(&name) {
            let first = first.pos.clone();
            return self.duplicate("variable", &name, &first, &block.pos);
        }
        self.module.variables.insert(name, variable);
    }

    fn rules(&mut self, body: &Body, kind: &str) -> Vec<Rule> {
        let mut rules = vec![];
        for block in body.blocks_of(kind) {
            self.only(&block.body, &["condition", "error_message"], &[]);
            if let (Some(condition), Some(message)) =
                (self.needed(block, "condition"), self.needed(block, "error_message"))
            {
                rules.push(Rule { condition, message, pos: block.pos.clone() });
            }
        }
        rules
    }

    fn output(&mut self, block: &Block) {
        let known = ["value", "description", "sensitive", "ephemeral", "depends_on", "deprecated"];
        self.only(&block.body, &known, &["precondition"]);
        let Some(expr) = self.needed(block, "value") else { return };
        let name = Arc::clone(&block.labels[0]);
        let output = Output {
            description: self.text(&block.body, "description"),
            expr,
            sensitive: self.flag(&block.body, "sensitive").unwrap_or(false),
            ephemeral: self.flag(&block.body, "ephemeral").unwrap_or(false),
            depends_on: self.references(&block.body, "depends_on"),
            preconditions: self.rules(&block.body, "precondition"),
            pos: block.pos.clone(),
            name: Arc::clone(&name),
        };
        if let Some(first) = self.module.outputs.get(&name) {
            let first = first.pos.clone();
            return self.duplicate("output", &name, &first, &block.pos);
        }
        self.module.outputs.insert(name, output);
    }

    fn locals(&mut self, block: &Block) {
        self.only(&Body { attributes: vec![], blocks: block.body.blocks.clone() }, &[], &[]);
        for attribute in &block.body.attributes {
            if let Some(first) = self.module.locals.get(&attribute.name) {
                let first = first.pos.clone();
                self.duplicate("local", &attribute.name, &first, &attribute.pos);
                continue;
            }
            let local =
                Local { name: Arc::clone(&attribute.name), expr: attribute.expr.clone(), pos: attribute.pos.clone() };
            self.module.locals.insert(Arc::clone(&attribute.name), local);
        }
    }

    /// Items of a list of references.
    fn references(&mut self, body: &Body, name: &str) -> Vec<Expr> {
        let Some(attribute) = body.attribute(name) else { return vec![] };
        let ExprKind::Tuple(items) = &attribute.expr.kind else {
            self.report("type-mismatch", format!("\"{name}\" must be a list of references"), &attribute.expr.pos);
            return vec![];
        };
        items.iter().filter_map(|item| self.reference(item)).collect()
    }

    /// A reference, also when quoted as in older files and in JSON.
    fn reference(&mut self, item: &Expr) -> Option<Expr> {
        match &item.kind {
            ExprKind::Reference { .. } => Some(item.clone()),
            ExprKind::Literal(Value::String(text)) => {
                let parsed = crate::syntax::parse_expression(text, &item.pos.file, item.pos.line, item.pos.column + 1);
                parsed.map_err(|d| self.diagnostics.push(d)).ok()
            }
            _ => {
                self.report("bad-reference", "this must be a reference", &item.pos);
                None
            }
        }
    }

    fn call(&mut self, block: &Block) {
        let Some(source) = self.text(&block.body, "source") else {
            if block.body.attribute("source").is_none() {
                self.report("missing-argument", "module needs \"source\"", &block.pos);
            }
            return;
        };
        let meta = ["source", "version", "count", "for_each", "providers", "depends_on"];
        let own = block.body.attributes.iter().filter(|a| !meta.contains(&&*a.name));
        let name = Arc::clone(&block.labels[0]);
        let call = ModuleCall {
            source,
            version: self.text(&block.body, "version"),
            arguments: own.map(|a| (Arc::clone(&a.name), a.expr.clone())).collect(),
            count: block.body.attribute("count").map(|a| a.expr.clone()),
            for_each: block.body.attribute("for_each").map(|a| a.expr.clone()),
            providers: self.handed_on(&block.body),
            depends_on: self.references(&block.body, "depends_on"),
            pos: block.pos.clone(),
            name: Arc::clone(&name),
        };
        for inner in &block.body.blocks {
            self.unknown("unknown-block", "block", &inner.kind, &[], &inner.pos);
        }
        if let Some(first) = self.module.calls.get(&name) {
            let first = first.pos.clone();
            return self.duplicate("module", &name, &first, &block.pos);
        }
        self.module.calls.insert(name, call);
    }

    fn handed_on(&mut self, body: &Body) -> Vec<(ProviderRef, ProviderRef)> {
        let Some(attribute) = body.attribute("providers") else { return vec![] };
        let ExprKind::Object(pairs) = &attribute.expr.kind else {
            self.report("type-mismatch", "\"providers\" must be a map of providers", &attribute.expr.pos);
            return vec![];
        };
        pairs.iter().filter_map(|(inner, outer)| Some((provider_ref(inner)?, provider_ref(outer)?))).collect()
    }

    fn provider(&mut self, block: &Block) {
        let alias = self.text(&block.body, "alias").map(Arc::from);
        let mut body = block.body.clone();
        body.attributes.retain(|a| !matches!(&*a.name, "alias" | "version"));
        let name = Arc::clone(&block.labels[0]);
        let key = (Arc::clone(&name), alias.clone());
        if let Some(first) = self.module.providers.get(&key) {
            let first = first.pos.clone();
            return self.duplicate("provider", &name, &first, &block.pos);
        }
        self.module.providers.insert(key, Provider { name, alias, body, pos: block.pos.clone() });
    }

    fn check(&mut self, block: &Block) {
        self.only(&block.body, &[], &["assert", "data"]);
        for data in block.body.blocks_of("data").filter(|b| b.labels.len() == 2) {
            self.resource(data, crate::Mode::Data);
        }
        let asserts = self.rules(&block.body, "assert");
        let name = Arc::clone(&block.labels[0]);
        self.module.checks.push(Check { name, asserts, pos: block.pos.clone() });
    }

    fn moved(&mut self, block: &Block) {
        self.only(&block.body, &["from", "to"], &[]);
        if let (Some(from), Some(to)) = (self.needed(block, "from"), self.needed(block, "to")) {
            self.module.moved.push(Moved { from: address_text(&from), to: address_text(&to), pos: block.pos.clone() });
        }
    }

    fn removed(&mut self, block: &Block) {
        self.only(&block.body, &["from"], &["lifecycle", "provisioner", "connection"]);
        if let Some(from) = self.needed(block, "from") {
            let destroy = block.body.blocks_of("lifecycle").next().and_then(|l| self.flag(&l.body, "destroy"));
            let removed =
                Removed { from: address_text(&from), destroy: destroy.unwrap_or(true), pos: block.pos.clone() };
            self.module.removed.push(removed);
        }
    }

    fn import(&mut self, block: &Block) {
        self.only(&block.body, &["to", "id", "for_each", "provider", "identity"], &[]);
        let Some(to) = self.needed(block, "to") else { return };
        let id = block.body.attribute("id").map(|a| a.expr.clone());
        if id.is_none() {
            self.report("unsupported", "an import without \"id\" is not supported yet", &block.pos);
        }
        let for_each = block.body.attribute("for_each").map(|a| a.expr.clone());
        self.module.imports.push(Import { to, id, for_each, pos: block.pos.clone() });
    }

    fn terraform(&mut self, block: &Block) {
        let known = ["required_version", "experiments"];
        self.only(&block.body, &known, &["required_providers", "backend", "cloud", "provider_meta", "encryption"]);
        if let Some(version) = self.text(&block.body, "required_version") {
            self.module.settings.required_version.push((version, block.pos.clone()));
        }
        for inner in &block.body.blocks {
            match &*inner.kind {
                "required_providers" => self.required_providers(inner),
                "backend" | "cloud" => {
                    let kind = inner.labels.first().cloned().unwrap_or_else(|| Arc::clone(&inner.kind));
                    if let Some(first) = &self.module.settings.backend {
                        let first = first.pos.clone();
                        self.duplicate("backend", &kind, &first, &inner.pos);
                        continue;
                    }
                    let backend = Backend { kind, body: inner.body.clone(), pos: inner.pos.clone() };
                    self.module.settings.backend = Some(backend);
                }
                _ => {}
            }
        }
    }

    fn required_providers(&mut self, block: &Block) {
        for attribute in &block.body.attributes {
            let mut required = RequiredProvider { source: None, version: None, pos: attribute.pos.clone() };
            let value = match &attribute.expr.kind {
                // configuration_aliases holds references, which are no constants.
                ExprKind::Object(pairs) => {
                    let text = |name: &str| {
                        let found = pairs
                            .iter()
                            .find(|(key, _)| matches!(&key.kind, ExprKind::Literal(k) if k.as_str() == Some(name)));
                        found.and_then(|(_, value)| constant_value(value)?.as_str().map(str::to_owned))
                    };
                    required.source = text("source");
                    required.version = text("version");
                    Some(Value::null())
                }
                _ => self.constant(attribute),
            };
            if let Some(version) = value.as_ref().and_then(Value::as_str) {
                required.version = Some(version.to_owned());
            }
            self.module.settings.required_providers.insert(Arc::clone(&attribute.name), required);
        }
    }
}

fn identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// The value of an expression without references and calls.
pub(super) fn constant_value(expr: &Expr) -> Option<Value> {
    let config = Configuration::default();
    let module = Module::default();
    let address = crate::ModuleAddress::root();
    if !crate::eval::references(expr).is_empty() {
        return None;
    }
    let context = crate::functions::Context::planning("", jiff::Timestamp::UNIX_EPOCH);
    let evaluator = crate::Evaluator::new(&config, [].into(), context, &crate::eval::NothingKnown);
    evaluator.evaluate(expr, &crate::Scope::new(&module, &address)).ok()
}

/// `aws` or `aws.west`, also quoted.
fn provider_ref(expr: &Expr) -> Option<ProviderRef> {
    let (name, alias): (Arc<str>, Option<Arc<str>>) = match &expr.kind {
        ExprKind::Reference { root, steps } => match steps.as_slice() {
            [] => (Arc::clone(root), None),
            [crate::syntax::Step::Attribute(alias, _)] => (Arc::clone(root), Some(Arc::clone(alias))),
            _ => return None,
        },
        ExprKind::Literal(Value::String(text)) => match text.split_once('.') {
            Some((name, alias)) => (name.into(), Some(alias.into())),
            None => (Arc::clone(text), None),
        },
        _ => return None,
    };
    Some(ProviderRef { name, alias, pos: expr.pos.clone() })
}

/// An address as written, without spaces.
fn address_text(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Literal(value) => value.as_str().unwrap_or_default().to_owned(),
        _ => expr.source.text().split_whitespace().collect(),
    }
}
