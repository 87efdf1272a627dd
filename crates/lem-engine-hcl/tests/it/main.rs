//! The language from outside: tables of expressions, configurations in memory, limits, hostile input.

mod configuration;
mod expressions;
mod hostile;
mod values;

use lem_engine_hcl::config::{Inputs, MemoryFiles, load, read_inputs};
use lem_engine_hcl::eval::NothingKnown;
use lem_engine_hcl::functions::Context;
use lem_engine_hcl::syntax::parse_expression;
use lem_engine_hcl::value::json::encode_text;
use lem_engine_hcl::{Evaluator, ModuleAddress, Value};

/// Planning in the package's folder at a fixed time.
pub(crate) fn context() -> Context {
    Context::planning(env!("CARGO_MANIFEST_DIR"), jiff::Timestamp::UNIX_EPOCH)
}

/// The value of an expression in a root module of one file, or the message.
pub(crate) fn in_file(file: &str, expr: &str) -> Result<Value, String> {
    let files = MemoryFiles::of(&[("main.tf", file)]);
    in_files(&files, expr)
}

/// The value of an expression in the root module of some files, or the first message.
pub(crate) fn in_files(files: &MemoryFiles, expr: &str) -> Result<Value, String> {
    let (config, diagnostics) = load(files, ".");
    if let Some(error) = diagnostics.iter().find(|d| d.is_error()) {
        return Err(error.to_string());
    }
    let (inputs, _) = read_inputs(&config.root, files, ".", &Inputs::default());
    let evaluator = Evaluator::new(&config, inputs, context(), &NothingKnown);
    let root = ModuleAddress::root();
    let scope = evaluator.scope(&root).map_err(|d| d.to_string())?;
    let expr = parse_expression(expr, "test", 1, 1).map_err(|d| d.to_string())?;
    evaluator.evaluate(&expr, &scope).map_err(|d| d.to_string())
}

/// The value of an expression as JSON text, or the message.
pub(crate) fn shown(expr: &str) -> String {
    in_file("locals {}", expr).map_or_else(|message| message, |value| encode_text(&value))
}
