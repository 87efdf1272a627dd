//! Where the values of the root module's variables come from.

use super::{Files, Module, Variable};
use crate::syntax::{Body, MAX_FILE_BYTES, parse_body, parse_expression, parse_json};
use crate::value::{Type, Value, convert};
use lem_model::{Diagnostic, Place, diagnostic::nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A source on the command line, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableSource {
    /// `-var name=text`.
    Text(String, String),
    /// `-var-file path`.
    File(String),
}

/// Sources beside the files that are always read.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The environment: only names beginning with `TF_VAR_` count.
    pub environment: BTreeMap<String, String>,
    /// The command line.
    pub command_line: Vec<VariableSource>,
}

/// Values of the root module's variables that any source sets: environment, `terraform.tfvars`,
/// `terraform.tfvars.json`, `*.auto.tfvars` and `*.auto.tfvars.json` by name, command line; the last wins. A variable
/// without a value and default is an error at its declaration; rules are checked by
/// [`crate::Evaluator::validate_variables`].
pub fn read_inputs(
    module: &Module,
    files: &dyn Files,
    folder: &str,
    inputs: &Inputs,
) -> (BTreeMap<Arc<str>, Value>, Vec<Diagnostic>) {
    let mut reader = Reader { module, files, values: BTreeMap::new(), diagnostics: vec![] };
    for (name, text) in &inputs.environment {
        if let Some(variable) = name.strip_prefix("TF_VAR_").and_then(|n| module.variables.get(n)) {
            reader.text(variable, text, name);
        }
    }
    for path in automatic(files, folder) {
        reader.file(&path, false);
    }
    for source in &inputs.command_line {
        match source {
            VariableSource::File(path) => reader.file(path, true),
            VariableSource::Text(name, text) => match module.variables.get(name.as_str()) {
                Some(variable) => reader.text(variable, text, "-var"),
                None => reader.undeclared(name, Place::file("-var"), true),
            },
        }
    }
    for variable in module.variables.values() {
        if variable.default.is_none() && !reader.values.contains_key(&variable.name) {
            let message = format!("var.{} has no value", variable.name);
            let hint = format!("set it in terraform.tfvars, with -var, or as TF_VAR_{}", variable.name);
            let diagnostic = Diagnostic::error("unset-variable", message, variable.pos.place());
            reader.diagnostics.push(diagnostic.with_hint(hint));
        }
    }
    (reader.values, reader.diagnostics)
}

fn automatic(files: &dyn Files, folder: &str) -> Vec<String> {
    let folder = folder.trim_end_matches('/');
    let folder = if folder == "." { "" } else { folder };
    let mut names = files.list(folder).unwrap_or_default();
    names.sort();
    let fixed = ["terraform.tfvars", "terraform.tfvars.json"];
    let first = fixed.iter().filter(|f| names.iter().any(|n| n == *f)).map(|f| (*f).to_owned());
    let auto = names.iter().filter(|n| n.ends_with(".auto.tfvars") || n.ends_with(".auto.tfvars.json")).cloned();
    first.chain(auto).map(|n| if folder.is_empty() { n } else { format!("{folder}/{n}") }).collect()
}

struct Reader<'r> {
    module: &'r Module,
    files: &'r dyn Files,
    values: BTreeMap<Arc<str>, Value>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Text is literal for untyped and primitive variables, an expression for all others.
    fn text(&mut self, variable: &Variable, text: &str, source: &str) {
        let literal = variable.ty.as_ref().is_none_or(|ty| ty.is_primitive());
        let value = if literal {
            Ok(Value::string(text))
        } else {
            parse_expression(text, source, 1, 1).and_then(|expr| {
                super::decode::constant_value(&expr).ok_or_else(|| {
                    Diagnostic::error(
                        "not-constant",
                        format!("var.{} must be a constant", variable.name),
                        expr.pos.place(),
                    )
                })
            })
        };
        match value {
            Ok(value) => self.set(variable, &value, Place::file(source)),
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn set(&mut self, variable: &Variable, value: &Value, place: Place) {
        match convert(value, variable.ty.as_ref().unwrap_or(&Type::Any)) {
            Ok(value) => {
                self.values.insert(Arc::clone(&variable.name), value);
            }
            Err(e) => {
                let message = format!("var.{}: {e}", variable.name);
                let hint = format!("it is declared at {}", variable.pos.place());
                self.diagnostics.push(Diagnostic::error("type-mismatch", message, place).with_hint(hint));
            }
        }
    }

    fn undeclared(&mut self, name: &str, place: Place, fatal: bool) {
        let message = format!("there is no variable \"{name}\"");
        let diagnostic = if fatal {
            Diagnostic::error("undeclared-variable", message, place)
        } else {
            Diagnostic::warning("undeclared-variable", message, place)
        };
        let near = nearest(name, self.module.variables.keys().map(|k| &**k));
        self.diagnostics.push(match near {
            Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
            None => diagnostic,
        });
    }

    fn file(&mut self, path: &str, asked: bool) {
        let bytes = match self.files.read(path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let kind = if asked { "variable file" } else { "file" };
                let message = format!("the {kind} cannot be read: {error}");
                self.diagnostics.push(Diagnostic::error("file-unreadable", message, Place::file(path)));
                return;
            }
        };
        let (body, diagnostics): (Body, _) =
            if path.ends_with(".json") { parse_json(&bytes, path, false) } else { parse_body(&bytes, path) };
        self.diagnostics.extend(diagnostics);
        for block in &body.blocks {
            let message = "a variable file has only name = value";
            self.diagnostics.push(Diagnostic::error("unknown-block", message, block.pos.place()));
        }
        for attribute in &body.attributes {
            let Some(variable) = self.module.variables.get(&attribute.name) else {
                self.undeclared(&attribute.name, attribute.pos.place(), false);
                continue;
            };
            match super::decode::constant_value(&attribute.expr) {
                Some(value) => self.set(variable, &value, attribute.expr.pos.place()),
                None => {
                    let message = format!("var.{} must be a constant", attribute.name);
                    self.diagnostics.push(Diagnostic::error("not-constant", message, attribute.expr.pos.place()));
                }
            }
        }
    }
}
