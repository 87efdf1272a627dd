//! Plans: what will happen to every instance, decided before anything does.
//!
//! In: a [`Project`], the state, what was found to exist. Out: a [`SealedPlan`]. Only [`make`] can make one, and an
//! apply takes nothing else: so nothing is applied that was not planned, from this configuration, these variables and
//! this state.

mod configured;
mod instance;
mod prepare;
mod walk;

pub(crate) use configured::{configured, resource};
pub(crate) use instance::ignore_changes;
pub use instance::{Circumstances, Decided, decide};
pub(crate) use prepare::readdress;
pub(crate) use walk::Values;
pub use walk::{Options, make};

use crate::project::Project;
use crate::state::OutputState;
use indexmap::IndexMap;
use lem_engine_hcl::config::ResourceKey;
use lem_engine_hcl::eval::Repetition;
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{InstanceKey, ModuleAddress, ResourceAddress};
use lem_model::fact::{MAX_CHANGES, PlanCounts, ResourceChange};
use lem_model::resource::ResourceAction;
use lem_model::{Diagnostic, Digest, Place};
use std::sync::Arc;

/// What happens to one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Address of the instance.
    pub address: String,
    /// Module instance, type, name and key.
    pub parts: ResourceAddress,
    /// Block, without keys.
    pub block: String,
    /// Key of an object that was replaced before and is still to be destroyed.
    pub deposed: Option<String>,
    /// `provider["..."]`.
    pub provider: String,
    /// What happens.
    pub action: ResourceAction,
    /// Why, in the words of Terraform's plan format.
    pub reason: Option<&'static str>,
    /// The object before.
    pub before: Option<Entries>,
    /// The object after, unknown where only the apply will tell.
    pub after: Option<Entries>,
    /// Attributes that force a replacement.
    pub replaced_by: Vec<String>,
    /// Address it had before.
    pub previous: Option<String>,
    /// Identifier it is imported by.
    pub imported: Option<String>,
    /// Where its block begins.
    pub place: Place,
    /// `count.index` and `each` of the instance.
    pub repetition: Repetition,
    /// Whether a replacement is made before the old object goes.
    pub create_first: bool,
}

impl Change {
    /// Names of the attributes that differ.
    pub fn attributes(&self) -> Vec<String> {
        let empty = Entries::new();
        let (before, after) = (self.before.as_ref().unwrap_or(&empty), self.after.as_ref().unwrap_or(&empty));
        let mut names: Vec<String> = before.keys().chain(after.keys()).map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names.retain(|name| before.get(name.as_str()) != after.get(name.as_str()));
        names
    }

    /// Whether anything happens at all.
    pub fn is_change(&self) -> bool {
        !matches!(self.action, ResourceAction::NoOp | ResourceAction::Read) || self.previous.is_some()
    }
}

/// An output of the root module, before and after.
#[derive(Clone, Debug)]
pub struct OutputChange {
    /// Before, as stored.
    pub before: Option<OutputState>,
    /// After; `None` when it is removed.
    pub after: Option<Value>,
    /// Whether it must not be shown.
    pub sensitive: bool,
}

/// An answer of a check block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// `check.NAME`.
    pub address: String,
    /// `pass`, `fail` or `unknown`.
    pub status: &'static str,
    /// What failed.
    pub problems: Vec<String>,
}

/// What will happen.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every object, unchanged ones included, in the order they were planned.
    pub changes: Vec<Change>,
    /// What was changed or removed outside, found while planning.
    pub drift: Vec<Change>,
    /// Outputs of the root module.
    pub outputs: IndexMap<String, OutputChange>,
    /// Check blocks.
    pub checks: Vec<Checked>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// Whether it destroys everything.
    pub destroys: bool,
}

impl Plan {
    /// How many of what.
    pub fn counts(&self) -> PlanCounts {
        let mut counts = PlanCounts::default();
        for change in &self.changes {
            match change.action {
                ResourceAction::Create => counts.create += 1,
                ResourceAction::Update => counts.update += 1,
                ResourceAction::CreateDelete | ResourceAction::DeleteCreate => counts.replace += 1,
                ResourceAction::Delete => counts.delete += 1,
                ResourceAction::NoOp => counts.unchanged += 1,
                ResourceAction::Read | ResourceAction::Forget => {}
            }
        }
        counts
    }

    /// Whether an apply would do nothing.
    pub fn is_empty(&self) -> bool {
        !self.changes.iter().any(Change::is_change) && !self.outputs.values().any(output_differs)
    }

    /// Changes as facts may tell them: names and places, no values.
    pub fn told(&self) -> Vec<ResourceChange> {
        tell(&self.changes)
    }
}

/// Changes as facts may tell them.
pub fn tell(changes: &[Change]) -> Vec<ResourceChange> {
    let changed = changes.iter().filter(|c| c.is_change()).take(MAX_CHANGES);
    changed
        .map(|change| ResourceChange {
            address: change.address.clone(),
            kind: change.parts.kind.to_string(),
            action: change.action,
            attributes: change.attributes(),
            place: change.place.to_string(),
        })
        .collect()
}

/// Whether an output changes.
pub fn output_differs(output: &OutputChange) -> bool {
    match (&output.before, &output.after) {
        (Some(before), Some(after)) => {
            !after.is_wholly_known() || before.value != lem_engine_hcl::value::json::to_json(after)
        }
        (None, None) => false,
        _ => true,
    }
}

/// A plan that may be applied: with the configuration, the variables and the state it was made from.
#[derive(Clone, Debug)]
pub struct SealedPlan {
    plan: Plan,
    project: Arc<Project>,
    lineage: String,
    serial: u64,
    digest: Digest,
}

impl SealedPlan {
    fn seal(plan: Plan, project: Arc<Project>, lineage: &str, serial: u64) -> Self {
        use std::fmt::Write as _;
        let mut text = format!("{}\n{lineage}\n{serial}\n", project.digest);
        for change in &plan.changes {
            let _written = writeln!(text, "{} {:?} {:?}", change.address, change.deposed, change.action);
        }
        let digest = Digest::of(text.as_bytes());
        Self { plan, project, lineage: lineage.to_owned(), serial, digest }
    }

    /// What will happen.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it was made from.
    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Lineage and serial of the state it was made from.
    pub fn base(&self) -> (&str, u64) {
        (&self.lineage, self.serial)
    }
}

/// Parts of an address and what they are called in the configuration.
fn resource_key(address: &ResourceAddress) -> ResourceKey {
    (address.mode, Arc::clone(&address.kind), Arc::clone(&address.name))
}

/// Key of an instance as state files write it.
pub(crate) fn key_json(key: Option<&InstanceKey>) -> Option<serde_json::Value> {
    key.map(|key| match key {
        InstanceKey::Index(index) => (*index).into(),
        InstanceKey::Name(name) => name.to_string().into(),
    })
}

/// Module of an address as state files write it.
pub(crate) fn module_text(module: &ModuleAddress) -> Option<String> {
    (!module.is_root()).then(|| module.to_string())
}
