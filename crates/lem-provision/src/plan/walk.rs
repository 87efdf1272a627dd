//! Making a plan: refresh what exists, walk the blocks in order, decide each instance, then what has no block any more.

use super::configured::{configured, resource};
use super::instance::{Circumstances, decide, ignore_changes};
use super::prepare::{has_instance, has_module, moves, removed};
use super::{Change, Checked, OutputChange, Plan, SealedPlan};
use crate::ProvisionError;
use crate::builtin::{self, Kind, Surroundings, provider_address};
use crate::object;
use crate::order::{Placed, without_keys};
use crate::project::Project;
use crate::state::State;
use indexmap::IndexMap;
use lem_engine_hcl::config::{Resource, Rule};
use lem_engine_hcl::eval::{NothingKnown, Repetition, Target, references};
use lem_engine_hcl::value::{Entries, Type, Value};
use lem_engine_hcl::{Evaluator, Mode, Resolve, ResourceAddress, Scope};
use lem_model::resource::ResourceAction;
use lem_model::{Diagnostic, Place};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

/// Errors of one plan that are collected before it stops.
const MAX_PROBLEMS: usize = 100;

/// How a plan is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Everything is to be destroyed.
    pub destroy: bool,
    /// What exists is taken from the state without looking.
    pub no_refresh: bool,
    /// Only what changed outside is taken into the state.
    pub refresh_only: bool,
    /// Only these addresses and what they need.
    pub targets: Vec<String>,
    /// Instances to be replaced.
    pub replace: Vec<String>,
}

/// Values of instances, as they are planned or were applied.
#[derive(Debug, Default)]
pub(crate) struct Values(RwLock<HashMap<ResourceAddress, Value>>);

impl Values {
    pub(crate) fn set(&self, address: ResourceAddress, value: Value) {
        self.0.write().insert(address, value);
    }
}

impl Resolve for Values {
    fn instance(&self, address: &ResourceAddress) -> Value {
        let known = self.0.read().get(address).cloned();
        known.unwrap_or_else(|| NothingKnown.instance(address))
    }
}

/// Plans. The state is what [`crate::store::Store::load`] or a session gives.
pub async fn make(
    project: Arc<Project>,
    state: &State,
    options: &Options,
    now: jiff::Timestamp,
) -> Result<SealedPlan, ProvisionError> {
    let values = Values::default();
    let context = project.context(now, false);
    let evaluator = Evaluator::new(&project.config, project.inputs.clone(), context, &values);
    let mut state = state.clone();
    let mut warnings = project.warnings.clone();
    let moved = moves(&project, &evaluator, &mut state, &mut warnings);
    let around = Surroundings { folder: project.target.root.clone(), now };
    let mut walk = Walk {
        project: &project,
        evaluator: &evaluator,
        values: &values,
        options,
        around,
        state: &state,
        moved,
        objects: BTreeMap::new(),
        changed: BTreeSet::new(),
        create_first: BTreeSet::new(),
        problems: vec![],
        plan: Plan { made: now, warnings, destroys: options.destroy, ..Plan::default() },
    };
    walk.run().await;
    if walk.problems.iter().any(Diagnostic::is_error) {
        return Err(ProvisionError::Files(walk.problems));
    }
    let mut plan = walk.plan;
    plan.warnings.extend(walk.problems);
    drop(evaluator);
    Ok(SealedPlan::seal(plan, project, &state.lineage, state.serial))
}

struct Walk<'a> {
    project: &'a Project,
    evaluator: &'a Evaluator<'a>,
    values: &'a Values,
    options: &'a Options,
    around: Surroundings,
    state: &'a State,
    moved: BTreeMap<String, String>,
    /// Objects as they really are, by address.
    objects: BTreeMap<String, Entries>,
    /// Blocks that have a pending change.
    changed: BTreeSet<String>,
    create_first: BTreeSet<String>,
    problems: Vec<Diagnostic>,
    plan: Plan,
}

impl Walk<'_> {
    async fn run(&mut self) {
        self.spread_create_first();
        self.unknown_types();
        if self.problems.iter().any(Diagnostic::is_error) {
            return;
        }
        self.refresh().await;
        let wanted = self.targeted();
        let (modules, wrong) = self.evaluator.module_instances();
        self.problems.extend(wrong);
        for placed in &self.project.order.blocks {
            for module in modules.iter().filter(|m| m.path() == placed.module) {
                if self.problems.len() >= MAX_PROBLEMS {
                    return;
                }
                let within = wanted.as_ref().is_none_or(|blocks| blocks.contains(&placed.name));
                self.block(placed, module, within).await;
            }
        }
        self.gone(wanted.as_ref());
        if !self.options.destroy {
            self.outputs();
            self.checks();
        }
    }

    /// What a block needs is replaced in the same way, else a replacement would wait for itself.
    fn spread_create_first(&mut self) {
        for placed in self.project.order.blocks.iter().rev() {
            let own = resource(self.project, placed).is_some_and(|r| r.lifecycle.create_before_destroy == Some(true));
            if own || self.create_first.contains(&placed.name) {
                self.create_first.insert(placed.name.clone());
                self.create_first.extend(placed.needs.iter().cloned());
            }
        }
    }

    /// Nothing that is not built in is planned: it is named, with the way out.
    fn unknown_types(&mut self) {
        for import in &self.project.config.root.imports {
            let message = "import is not supported by the built-in providers";
            let hint = "plan it with --engine terraform";
            self.problems.push(Diagnostic::error("unsupported-import", message, import.pos.place()).with_hint(hint));
        }
        for placed in &self.project.order.blocks {
            let Some(resource) = resource(self.project, placed) else { continue };
            if builtin::kind(resource.mode, &resource.kind).is_none() {
                let data = if resource.mode == Mode::Data { "data source" } else { "resource" };
                let message = format!("{data} {} is of a provider that is not built in", resource.kind);
                let near = lem_model::diagnostic::nearest(&resource.kind, builtin::names(resource.mode));
                let hint = near.map(|n| format!("did you mean {n}? otherwise ")).unwrap_or_default();
                let hint = format!("{hint}plan it with --engine terraform");
                self.problems
                    .push(Diagnostic::error("unknown-provider", message, resource.pos.place()).with_hint(hint));
            }
            let foreign = resource.provisioners.iter().filter(|p| &*p.kind != "local-exec");
            for provisioner in foreign {
                let message = format!("provisioner {} is not supported", provisioner.kind);
                let hint = "plan it with --engine terraform";
                self.problems
                    .push(Diagnostic::error("unknown-provisioner", message, provisioner.pos.place()).with_hint(hint));
            }
        }
    }

    /// Blocks that are asked for, with everything they need; `None` for all.
    fn targeted(&mut self) -> Option<BTreeSet<String>> {
        if self.options.targets.is_empty() {
            return None;
        }
        let mut wanted = BTreeSet::new();
        for target in &self.options.targets {
            let name = without_keys(target);
            let prefix = format!("{name}.");
            let blocks = self.project.order.blocks.iter();
            let mut open: Vec<String> =
                blocks.map(|b| b.name.clone()).filter(|b| *b == name || b.starts_with(&prefix)).collect();
            if open.is_empty() {
                let message = format!("no block is called {target}");
                self.problems.push(Diagnostic::warning(
                    "unknown-target",
                    message,
                    Place::file(&self.project.target.root_name),
                ));
            }
            while let Some(block) = open.pop() {
                if wanted.insert(block.clone()) {
                    open.extend(self.project.order.needs(&block).iter().cloned());
                }
            }
        }
        Some(wanted)
    }

    /// Reads every object of the state as it is now.
    async fn refresh(&mut self) {
        for (address, object) in self.state.objects.iter().filter(|(_, o)| !o.data) {
            let Some(stored) = &object.current else { continue };
            let Some(kind) = builtin::kind(Mode::Managed, &object.kind) else { continue };
            let known = match object::from_state(kind.schema(), stored) {
                Ok(known) => known,
                Err(why) => {
                    let message = format!("state of {address} does not read: {why}");
                    self.problems.push(Diagnostic::error(
                        "bad-state",
                        message,
                        Place::file(&self.project.target.root_name),
                    ));
                    continue;
                }
            };
            let live =
                if self.options.no_refresh { Ok(Some(known.clone())) } else { kind.read(&known, &self.around).await };
            match live {
                Ok(Some(live)) => {
                    if live != known {
                        self.drifted(address, kind, known, Some(live.clone()));
                    }
                    self.objects.insert(address.clone(), live);
                }
                Ok(None) => self.drifted(address, kind, known, None),
                Err(why) => {
                    let message = format!("{address} cannot be read: {why}");
                    self.problems.push(Diagnostic::error(
                        "unreadable-object",
                        message,
                        Place::file(&self.project.target.root_name),
                    ));
                }
            }
        }
    }

    fn drifted(&mut self, address: &str, kind: &dyn Kind, before: Entries, after: Option<Entries>) {
        let action = if after.is_some() { ResourceAction::Update } else { ResourceAction::Delete };
        let Ok(parts) = ResourceAddress::from_str(address) else { return };
        let place = self.place_of(&parts);
        self.plan.drift.push(Change {
            address: address.to_owned(),
            block: without_keys(address),
            deposed: None,
            provider: provider_address(kind.provider()),
            action,
            reason: None,
            before: Some(before),
            after,
            replaced_by: vec![],
            previous: None,
            imported: None,
            place,
            repetition: Repetition::default(),
            create_first: false,
            parts,
        });
    }

    fn place_of(&self, parts: &ResourceAddress) -> Place {
        let module = self.project.config.module(&parts.module);
        let resource = module.and_then(|m| m.resources.get(&super::resource_key(parts)));
        resource.map_or_else(|| Place::file(&self.project.target.root_name), |r| r.pos.place())
    }

    async fn block(&mut self, placed: &Placed, module: &lem_engine_hcl::ModuleAddress, within: bool) {
        let Some(resource) = resource(self.project, placed) else { return };
        let Some(kind) = builtin::kind(resource.mode, &resource.kind) else { return };
        let expansion = match self.evaluator.expand(module, resource) {
            Ok(expansion) => expansion,
            Err(problem) => return self.problems.push(*problem),
        };
        for (key, repetition) in &expansion.instances {
            let parts = ResourceAddress {
                module: module.clone(),
                mode: resource.mode,
                kind: Arc::clone(&resource.kind),
                name: Arc::clone(&resource.name),
                key: key.clone(),
            };
            if within && !self.options.destroy && !self.options.refresh_only {
                self.instance(placed, resource, kind, parts, repetition).await;
            } else {
                self.keep(placed, resource, kind, parts, repetition, within);
            }
        }
    }

    /// An instance that is not planned: destroyed when everything is, else as it is.
    fn keep(
        &mut self,
        placed: &Placed,
        resource: &Resource,
        kind: &'static dyn Kind,
        parts: ResourceAddress,
        repetition: &Repetition,
        within: bool,
    ) {
        let address = parts.to_string();
        let Some(object) = self.objects.get(&address).cloned() else { return };
        self.values.set(parts.clone(), Value::object(object.clone()));
        let mut change = self.change(placed, resource, kind, parts, repetition);
        change.before = Some(object.clone());
        if self.options.destroy && within {
            change.action = ResourceAction::Delete;
            self.refuse_destroy(resource, &change);
            self.changed.insert(placed.name.clone());
        } else {
            change.after = Some(object);
        }
        self.plan.changes.push(change);
    }

    fn change(
        &self,
        placed: &Placed,
        resource: &Resource,
        kind: &dyn Kind,
        parts: ResourceAddress,
        repetition: &Repetition,
    ) -> Change {
        let address = parts.to_string();
        Change {
            block: placed.name.clone(),
            deposed: None,
            provider: provider_address(kind.provider()),
            action: ResourceAction::NoOp,
            reason: None,
            before: None,
            after: None,
            replaced_by: vec![],
            previous: self.moved.get(&address).cloned(),
            imported: None,
            place: resource.pos.place(),
            repetition: repetition.clone(),
            create_first: self.create_first.contains(&placed.name),
            address,
            parts,
        }
    }

    async fn instance(
        &mut self,
        placed: &Placed,
        resource: &Resource,
        kind: &'static dyn Kind,
        parts: ResourceAddress,
        repetition: &Repetition,
    ) {
        let scope = match self.evaluator.scope(&parts.module) {
            Ok(scope) => scope,
            Err(problem) => return self.problems.push(*problem),
        };
        let scope = scope.repeated(repetition);
        let found = self.rules(&resource.lifecycle.preconditions, &scope);
        self.problems.extend(found);
        let address = parts.to_string();
        let mut config = match configured(self.evaluator, resource, kind, &scope) {
            Ok(config) => config,
            Err(problems) => {
                self.values.set(parts, Value::unknown(Type::Any, format!("{address} has errors")));
                return self.problems.extend(problems);
            }
        };
        let mut change = self.change(placed, resource, kind, parts.clone(), repetition);
        if resource.mode == Mode::Data {
            return self.data(placed, kind, change, config).await;
        }
        let prior = self.objects.get(&address).cloned();
        ignore_changes(&resource.lifecycle.ignore_changes, prior.as_ref(), &mut config);
        let stored = self.state.objects.get(&address).and_then(|o| o.current.as_ref());
        let decided = decide(
            &address,
            kind,
            &config,
            Circumstances {
                prior: prior.as_ref(),
                tainted: stored.is_some_and(crate::state::InstanceState::is_tainted),
                asked: self.options.replace.contains(&address),
                triggered: self.triggered(&parts.module, resource),
                create_first: change.create_first,
            },
        );
        change.action = decided.action;
        change.reason = decided.reason;
        change.replaced_by = decided.replaced_by;
        change.before = prior;
        let planned = Value::object(decided.planned.clone());
        let found = self.rules(&resource.lifecycle.postconditions, &scope.with_self(&planned));
        self.problems.extend(found);
        self.values.set(parts, planned);
        change.after = Some(decided.planned);
        if matches!(change.action, ResourceAction::DeleteCreate | ResourceAction::CreateDelete) {
            self.refuse_destroy(resource, &change);
        }
        if change.action != ResourceAction::NoOp {
            self.changed.insert(placed.name.clone());
        }
        self.plan.changes.push(change);
    }

    /// A data source is read now, unless its arguments or what it depends on are not settled yet.
    async fn data(&mut self, placed: &Placed, kind: &'static dyn Kind, mut change: Change, config: Entries) {
        let whole = Value::object(config.clone());
        let waits = placed.needs.iter().any(|n| self.changed.contains(n));
        let later = whole.first_unknown().is_some() || waits;
        let read = if later { Ok(None) } else { kind.read(&config, &self.around).await };
        match read {
            Ok(Some(object)) => {
                self.values.set(change.parts.clone(), Value::object(object.clone()));
                change.after = Some(object);
                change.action = ResourceAction::NoOp;
                // What was read is in no list of changes: it changes nothing.
            }
            Ok(None) => {
                let decided = decide(&change.address, kind, &config, Circumstances::default());
                self.values.set(change.parts.clone(), Value::object(decided.planned.clone()));
                change.reason =
                    Some(if waits { "read_because_dependency_pending" } else { "read_because_config_unknown" });
                change.action = ResourceAction::Read;
                change.after = Some(decided.planned);
                self.changed.insert(placed.name.clone());
            }
            Err(why) => {
                let message = format!("{}: {why}", change.address);
                self.problems.push(Diagnostic::error("unreadable-object", message, change.place.clone()));
                self.values
                    .set(change.parts.clone(), Value::unknown(Type::Any, format!("{} was not read", change.address)));
                return;
            }
        }
        self.plan.changes.push(change);
    }

    fn rules(&self, rules: &[Rule], scope: &Scope<'_>) -> Vec<Diagnostic> {
        rules.iter().filter_map(|rule| self.evaluator.rule(rule, scope).err().map(|problem| *problem)).collect()
    }

    /// Whether something `replace_triggered_by` names has a pending change.
    fn triggered(&self, module: &lem_engine_hcl::ModuleAddress, resource: &Resource) -> bool {
        let named = resource.lifecycle.replace_triggered_by.iter().flat_map(references);
        named.into_iter().any(|reference| match reference.target {
            Target::Resource { mode, kind, name, key } => self.plan.changes.iter().any(|change| {
                let same = change.parts.module == *module
                    && (change.parts.mode, &change.parts.kind, &change.parts.name) == (mode, &kind, &name)
                    && (key.is_none() || change.parts.key == key);
                // A first creation triggers nothing: there is nothing to replace yet.
                same && change.action != ResourceAction::NoOp
            }),
            _ => false,
        })
    }

    fn refuse_destroy(&mut self, resource: &Resource, change: &Change) {
        if resource.lifecycle.prevent_destroy == Some(true) {
            let message = format!("{} would be destroyed, which its lifecycle prevents", change.address);
            let hint = "take prevent_destroy out, or leave the object as it is";
            self.problems.push(Diagnostic::error("prevent-destroy", message, change.place.clone()).with_hint(hint));
        }
    }

    /// Objects without an instance in the configuration, and objects left over from replacements.
    fn gone(&mut self, wanted: Option<&BTreeSet<String>>) {
        for (address, object) in &self.state.objects {
            let block = without_keys(address);
            if object.data || wanted.is_some_and(|w| !w.contains(&block)) || self.options.refresh_only {
                continue;
            }
            let Ok(parts) = ResourceAddress::from_str(address) else { continue };
            let Some(kind) = builtin::kind(Mode::Managed, &object.kind) else {
                let message = format!("{address} of the state is of a provider that is not built in");
                let hint = "plan it with --engine terraform, or take it out with lem state rm";
                let place = Place::file(&self.project.target.root_name);
                self.problems.push(Diagnostic::error("unknown-provider", message, place).with_hint(hint));
                continue;
            };
            let there = has_instance(self.project, self.evaluator, &parts);
            let mut leftover: Vec<(Option<String>, Option<Entries>)> = object
                .deposed
                .iter()
                .map(|(key, stored)| (Some(key.clone()), object::from_state(kind.schema(), stored).ok()))
                .collect();
            if !there && let Some(live) = self.objects.get(address) {
                leftover.push((None, Some(live.clone())));
            }
            for (deposed, before) in leftover {
                self.delete(address, &parts, kind, deposed, before);
            }
        }
    }

    fn delete(
        &mut self,
        address: &str,
        parts: &ResourceAddress,
        kind: &dyn Kind,
        deposed: Option<String>,
        before: Option<Entries>,
    ) {
        let forget = deposed.is_none() && removed(self.project, address) == Some(false);
        let reason = deposed.is_none().then(|| self.why_gone(parts));
        self.changed.insert(without_keys(address));
        self.plan.changes.push(Change {
            address: address.to_owned(),
            block: without_keys(address),
            deposed,
            provider: provider_address(kind.provider()),
            action: if forget { ResourceAction::Forget } else { ResourceAction::Delete },
            reason,
            before,
            after: None,
            replaced_by: vec![],
            previous: None,
            imported: None,
            place: self.place_of(parts),
            repetition: Repetition::default(),
            create_first: false,
            parts: parts.clone(),
        });
    }

    fn why_gone(&self, parts: &ResourceAddress) -> &'static str {
        use lem_engine_hcl::InstanceKey;
        if !has_module(self.project, self.evaluator, &parts.module) {
            return "delete_because_no_module";
        }
        let module = self.project.config.module(&parts.module);
        match (module.and_then(|m| m.resources.get(&super::resource_key(parts))), &parts.key) {
            (None, _) => "delete_because_no_resource_config",
            (Some(r), Some(InstanceKey::Index(_))) if r.count.is_some() => "delete_because_count_index",
            (Some(r), Some(InstanceKey::Name(_))) if r.for_each.is_some() => "delete_because_each_key",
            _ => "delete_because_wrong_repetition",
        }
    }

    fn outputs(&mut self) {
        let root = lem_engine_hcl::ModuleAddress::root();
        let mut outputs = IndexMap::new();
        for (name, output) in &self.project.config.root.outputs {
            let before = self.state.outputs.get(&**name).cloned();
            match self.evaluator.output(&root, output) {
                Ok(value) => {
                    let change = OutputChange { before, after: Some(value), sensitive: output.sensitive };
                    outputs.insert(name.to_string(), change);
                }
                Err(problem) => self.problems.push(*problem),
            }
        }
        for (name, before) in &self.state.outputs {
            if !outputs.contains_key(name) {
                let sensitive = before.sensitive;
                outputs.insert(name.clone(), OutputChange { before: Some(before.clone()), after: None, sensitive });
            }
        }
        self.plan.outputs = outputs;
    }

    /// A check that fails is a warning; it stops nothing.
    fn checks(&mut self) {
        let root = lem_engine_hcl::ModuleAddress::root();
        let Ok(scope) = self.evaluator.scope(&root) else { return };
        for check in &self.project.config.root.checks {
            let (mut problems, mut unknown) = (vec![], false);
            for rule in &check.asserts {
                match self.evaluator.rule(rule, &scope) {
                    Ok(answer) => unknown |= answer.is_none(),
                    Err(problem) => problems.push(*problem),
                }
            }
            let status = match (problems.is_empty(), unknown) {
                (false, _) => "fail",
                (true, true) => "unknown",
                (true, false) => "pass",
            };
            let told = problems.iter().map(|p| p.message.clone()).collect();
            self.plan.checks.push(Checked { address: format!("check.{}", check.name), status, problems: told });
            let warned = problems.into_iter().map(|p| Diagnostic { severity: lem_model::Severity::Warning, ..p });
            self.plan.warnings.extend(warned);
        }
    }
}
