//! The block of an instance, and its arguments as its type takes them.

use crate::builtin::Kind;
use crate::order::Placed;
use crate::project::Project;
use lem_engine_hcl::config::Resource;
use lem_engine_hcl::value::Entries;
use lem_engine_hcl::{Evaluator, Scope};
use lem_model::Diagnostic;

/// The block of the configuration.
pub(crate) fn resource<'p>(project: &'p Project, placed: &Placed) -> Option<&'p Resource> {
    let config = &project.config;
    let module = if placed.module.is_empty() { Some(&config.root) } else { config.modules.get(&placed.module) };
    module?.resources.get(&placed.key)
}

/// Arguments of an instance, evaluated and checked against its type.
pub(crate) fn configured(
    evaluator: &Evaluator<'_>,
    resource: &Resource,
    kind: &dyn Kind,
    scope: &Scope<'_>,
) -> Result<Entries, Vec<Diagnostic>> {
    let (value, mut problems) = evaluator.body(&resource.body, None, scope);
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    let written = value.entries().cloned().unwrap_or_default();
    let (config, wrong) = kind.schema().config(&resource.kind, &written);
    let wrong = wrong.into_iter().chain(kind.check(&config));
    problems.extend(wrong.map(|wrong| {
        let at = wrong.argument.as_deref().and_then(|name| {
            let argument = resource.body.attribute(name).map(|a| a.pos.place());
            argument.or_else(|| resource.body.blocks_of(name).next().map(|b| b.pos.place()))
        });
        let place = at.unwrap_or_else(|| resource.pos.place());
        let problem = Diagnostic::error(wrong.code, wrong.message, place);
        if let Some(hint) = wrong.hint { problem.with_hint(hint) } else { problem }
    }));
    if problems.iter().any(Diagnostic::is_error) { Err(problems) } else { Ok(config) }
}
