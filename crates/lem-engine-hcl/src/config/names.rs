//! Names that nothing has, wherever they are written: a value that nobody asks for is never evaluated, and a function or
//! a variable that does not exist is a mistake all the same.

use super::Module;
use crate::address::Mode;
use crate::eval::{Names, Reference, Target, names_of};
use crate::functions;
use crate::syntax::{Body, Pos};
use lem_model::{Diagnostic, diagnostic::nearest};

/// Blocks that name what was or will be, not what is.
const OF_OTHER_TIMES: [&str; 3] = ["moved", "removed", "import"];

/// Calls of functions that do not exist.
pub(super) fn functions(body: &Body, diagnostics: &mut Vec<Diagnostic>) {
    for named in all(body) {
        diagnostics.extend(named.calls.iter().filter_map(|(name, pos)| function(name, pos)));
    }
}

/// References to what the module does not declare. The module must have been read as a whole.
pub(super) fn references(body: &Body, module: &Module, diagnostics: &mut Vec<Diagnostic>) {
    for named in all(body) {
        diagnostics.extend(named.references.iter().filter_map(|reference| declared(reference, module)));
    }
    // Elsewhere what looks like a resource may be a provider, or an argument to be ignored.
    for block in body.blocks.iter().filter(|b| matches!(&*b.kind, "locals" | "output")) {
        diagnostics.extend(names_of(&block.body).references.iter().filter_map(|reference| there(reference, module)));
    }
}

fn there(reference: &Reference, module: &Module) -> Option<Diagnostic> {
    let Target::Resource { mode, kind, name, .. } = &reference.target else { return None };
    if module.resources.contains_key(&(*mode, kind.clone(), name.clone())) {
        return None;
    }
    let word = if *mode == Mode::Data { "data source" } else { "resource" };
    let message = format!("there is no {word} {kind}.{name} in this module");
    let known: Vec<String> =
        module.resources.keys().filter(|(m, _, _)| m == mode).map(|(_, k, n)| format!("{k}.{n}")).collect();
    let wanted = format!("{kind}.{name}");
    Some(missing("unknown-reference", message, &wanted, known.iter().map(String::as_str), &reference.pos))
}

fn all(body: &Body) -> impl Iterator<Item = Names> {
    body.blocks.iter().filter(|b| !OF_OTHER_TIMES.contains(&&*b.kind)).map(|block| {
        if &*block.kind != "variable" {
            return names_of(&block.body);
        }
        // Constraints look like calls and are none.
        let mut rest = block.body.clone();
        rest.attributes.retain(|a| &*a.name != "type");
        names_of(&rest)
    })
}

/// Functions of providers are known when their provider is; nobody can say so here.
fn function(name: &str, pos: &Pos) -> Option<Diagnostic> {
    let name = name.strip_prefix("core::").unwrap_or(name);
    if name.starts_with("provider::") || functions::names().any(|known| known == name) {
        return None;
    }
    Some(missing("unknown-function", format!("there is no function \"{name}\""), name, functions::names(), pos))
}

fn declared(reference: &Reference, module: &Module) -> Option<Diagnostic> {
    let (word, name, known): (_, _, Vec<&str>) = match &reference.target {
        Target::Variable(name) => ("variable", name, module.variables.keys().map(|k| &**k).collect()),
        Target::Local(name) => ("local", name, module.locals.keys().map(|k| &**k).collect()),
        Target::Module(name, _) => ("module", name, module.calls.keys().map(|k| &**k).collect()),
        Target::Resource { .. } | Target::Other(_) => return None,
    };
    if known.contains(&&**name) {
        return None;
    }
    let message = format!("there is no {word} \"{name}\"");
    Some(missing("unknown-reference", message, name, known.into_iter(), &reference.pos))
}

fn missing<'n>(code: &str, message: String, name: &str, known: impl Iterator<Item = &'n str>, pos: &Pos) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, message, pos.place());
    match nearest(name, known) {
        Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
        None => diagnostic,
    }
}
