//! What a configuration says of a resource that a plan does not: where it stands, through which calls it is reached, and
//! the region of its provider.

use super::{attribute, places_of};
use crate::order::{Order, block_name};
use lem_engine_hcl::config::{Configuration, Provider, Resource as Block};
use lem_engine_hcl::{Evaluator, ModuleAddress, ResourceAddress};
use lem_model::Place;
use lem_model::resource::{Attribute, Resource};
use std::str::FromStr;
use std::sync::Arc;

/// Arguments by which providers name where things are.
const WHERE: [&str; 2] = ["region", "location"];

/// A configuration that resources are looked up in.
pub(crate) struct Written<'a> {
    pub(crate) config: &'a Configuration,
    pub(crate) evaluator: &'a Evaluator<'a>,
    pub(crate) order: Option<&'a Order>,
}

impl Written<'_> {
    /// Adds to a resource of a plan what its block says. One without a block stays as it is.
    pub(crate) fn complete(&self, resource: &mut Resource) {
        let Ok(parts) = ResourceAddress::from_str(&resource.address) else { return };
        let key = (parts.mode, Arc::clone(&parts.kind), Arc::clone(&parts.name));
        let Some(module) = self.config.module(&parts.module) else { return };
        let Some(block) = module.resources.get(&key) else { return };
        resource.place = block.pos.place();
        resource.end_line = block.end_line;
        resource.places = places_of(block);
        resource.calls = self.calls(&parts.module);
        resource.region = self.region(&parts.module, block, resource.attributes.get("region"));
        if let Some(order) = self.order {
            resource.depends_on = order.needs(&block_name(&module.path, &key)).to_vec();
        }
    }

    /// Where a resource is: what it says itself, else what its provider configuration says.
    pub(crate) fn region(&self, at: &ModuleAddress, block: &Block, own: Option<&Attribute>) -> Option<Attribute> {
        if let Some(own) = own.filter(|a| matches!(a.revealed(), Attribute::String(_))) {
            return Some(own.clone());
        }
        let alias = block.provider.as_ref().and_then(|p| p.alias.clone());
        let (provider, at) = self.provider(at, block.provider_name(), alias)?;
        let scope = self.evaluator.scope(&at).ok()?;
        let argument = WHERE.iter().find_map(|name| provider.body.attribute(name))?;
        let value = self.evaluator.evaluate(&argument.expr, &scope);
        Some(value.map_or_else(|problem| Attribute::Unknown(problem.message.clone()), |value| attribute(&value)))
    }

    /// The configuration of a provider: the module's own, one that its call hands on, or the one it inherits.
    fn provider(&self, at: &ModuleAddress, name: &str, alias: Option<Arc<str>>) -> Option<(&Provider, ModuleAddress)> {
        let module = self.config.module(at)?;
        if let Some(found) = module.providers.get(&(name.into(), alias.clone())) {
            return Some((found, at.clone()));
        }
        let parent = at.parent()?;
        let call = self.config.module(&parent)?.calls.get(&at.steps().last()?.name)?;
        let handed = call.providers.iter().find(|(inner, _)| &*inner.name == name && inner.alias == alias);
        match handed {
            Some((_, outer)) => self.provider(&parent, &outer.name, outer.alias.clone()),
            None => self.provider(&parent, name, alias),
        }
    }

    /// Module calls that lead to a module, outermost first.
    pub(crate) fn calls(&self, address: &ModuleAddress) -> Vec<Place> {
        let mut found = vec![];
        let mut at = address.clone();
        while let Some(parent) = at.parent() {
            let step = at.steps().last().map(|s| s.name.clone());
            let call = step.and_then(|name| self.config.module(&parent)?.calls.get(&name));
            found.extend(call.map(|c| c.pos.place()));
            at = parent;
        }
        found.reverse();
        found
    }
}
