//! One operation: its final plan, the provider's call, and what the state keeps of it.

use super::Settings;
use super::graph::Operation;
use super::provision::{self, Script};
use crate::builtin::{self, Kind, Made, Surroundings};
use crate::journal::Ticket;
use crate::object;
use crate::plan::{Change, Circumstances, configured, decide, module_text, resource};
use crate::project::Project;
use crate::state::{InstanceState, Object};
use crate::store::Session;
use futures::future::BoxFuture;
use lem_engine_hcl::Evaluator;
use lem_engine_hcl::config::Resource;
use lem_engine_hcl::value::{Entries, Value};
use lem_model::resource::ResourceAction;

/// What came of an operation.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What exists now.
    pub(super) object: Option<Entries>,
    /// What went wrong.
    pub(super) error: Option<String>,
    /// Whether the object must be replaced by the next apply.
    pub(super) tainted: bool,
    /// Whether it was just created, so that its provisioners are still to run.
    pub(super) is_new: bool,
}

impl Outcome {
    fn of(object: Option<Entries>, error: Option<String>) -> Self {
        Self { object, error, tainted: false, is_new: false }
    }
}

enum Call {
    Create(Entries),
    Update(Entries, Entries),
    Read(Entries),
    Delete(Entries),
    Nothing,
}

/// An operation ready to run; it owns all it needs.
pub(super) struct Run {
    kind: &'static dyn Kind,
    around: Surroundings,
    call: Call,
    intent: Option<Ticket>,
    scripts: Vec<Script>,
    settings: Settings,
    address: String,
}

impl Run {
    pub(super) async fn run(self) -> Outcome {
        if let Some(intent) = self.intent
            && !matches!(intent.await, Ok(Ok(())))
        {
            let error = Some("its intent could not be written; nothing was done".to_owned());
            return Outcome::of(None, error);
        }
        let (around, progress) = (&self.around, self.settings.progress.as_ref());
        match self.call {
            Call::Create(planned) => {
                let Made { object, error } = self.kind.create(planned, around).await;
                let is_new = object.is_some() && error.is_none();
                Outcome { tainted: error.is_some() && object.is_some(), is_new, object, error }
            }
            Call::Update(prior, planned) => {
                let made = self.kind.update(&prior, planned, around).await;
                let object = made.object.or(Some(prior));
                Outcome::of(object, made.error)
            }
            Call::Read(config) => match self.kind.read(&config, around).await {
                Ok(Some(object)) => Outcome::of(Some(object), None),
                Ok(None) => Outcome::of(None, Some("it does not exist".to_owned())),
                Err(why) => Outcome::of(None, Some(why)),
            },
            Call::Delete(prior) => {
                let before = provision::all(&self.scripts, &self.address, progress).await;
                let done = match before {
                    Ok(()) => self.kind.delete(&prior, around).await,
                    failed => failed,
                };
                match done {
                    Ok(()) => Outcome::of(None, None),
                    Err(why) => Outcome::of(Some(prior), Some(why)),
                }
            }
            Call::Nothing => Outcome::of(None, None),
        }
    }
}

/// Works out the final plan of an operation and writes its intent.
pub(super) fn prepare(
    operation: Operation,
    change: &Change,
    project: &Project,
    evaluator: &Evaluator<'_>,
    session: &mut Session,
    settings: &Settings,
) -> Result<Run, String> {
    let mode = change.parts.mode;
    let kind = builtin::kind(mode, &change.parts.kind).ok_or("its type is not built in")?;
    let around = Surroundings { folder: project.target.root.clone(), now: settings.clock.now() };
    let (call, scripts) = match operation {
        Operation::Make => make(change, kind, project, evaluator)?,
        Operation::Delete => {
            let prior = change.before.clone().unwrap_or_default();
            let scripts = scripts(change, project, evaluator, &prior, provision::When::Destroy)?;
            (Call::Delete(prior), scripts)
        }
        Operation::DeleteOld => (Call::Delete(change.before.clone().unwrap_or_default()), vec![]),
        Operation::Forget | Operation::Barrier => (Call::Nothing, vec![]),
    };
    let provisioned = placed_resource(change, project).is_some_and(|block| !block.provisioners.is_empty());
    let outside = kind.has_outside_effect() || provisioned;
    let word = match &call {
        Call::Create(_) => "create",
        Call::Update(..) => "update",
        Call::Delete(_) => "delete",
        Call::Read(_) | Call::Nothing => "",
    };
    let intent = (outside && !word.is_empty())
        .then(|| session.intent(&change.address, word))
        .transpose()
        .map_err(|error| error.to_string())?;
    Ok(Run { kind, around, call, intent, scripts, settings: settings.clone(), address: change.address.clone() })
}

fn make(
    change: &Change,
    kind: &'static dyn Kind,
    project: &Project,
    evaluator: &Evaluator<'_>,
) -> Result<(Call, Vec<Script>), String> {
    let block = placed_resource(change, project).ok_or("its block is gone")?;
    let scope = evaluator.scope(&change.parts.module).map_err(|p| p.to_string())?.repeated(&change.repetition);
    let mut config = configured(evaluator, block, kind, &scope)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    if change.action == ResourceAction::Read {
        return Ok((Call::Read(config), vec![]));
    }
    let updates = change.action == ResourceAction::Update;
    let prior = updates.then_some(change.before.as_ref()).flatten();
    crate::plan::ignore_changes(&block.lifecycle.ignore_changes, prior, &mut config);
    let decided = decide(&change.address, kind, &config, Circumstances { prior, ..Circumstances::default() });
    agrees(change.after.as_ref(), &decided.planned)?;
    if let Some(unknown) = config.values().find_map(Value::first_unknown) {
        return Err(format!("an argument is still not known: {}", unknown.why));
    }
    match (prior, decided.action) {
        (Some(prior), ResourceAction::Update | ResourceAction::NoOp) => {
            Ok((Call::Update(prior.clone(), decided.planned), vec![]))
        }
        (Some(_), _) => Err("its final plan would replace it, which was not planned".to_owned()),
        (None, _) => Ok((Call::Create(decided.planned), vec![])),
    }
}

fn placed_resource<'p>(change: &Change, project: &'p Project) -> Option<&'p Resource> {
    resource(project, project.order.block(&change.block)?)
}

/// Postconditions and provisioners of a new object; `Err` is the run of the latter.
pub(super) fn after_create(
    change: &Change,
    project: &Project,
    evaluator: &Evaluator<'_>,
    outcome: Outcome,
    settings: &Settings,
) -> Result<Outcome, BoxFuture<'static, Outcome>> {
    let object = outcome.object.clone().unwrap_or_default();
    let failed = |why: String| Outcome { object: Some(object.clone()), error: Some(why), tainted: true, is_new: false };
    let found = match scripts(change, project, evaluator, &object, provision::When::Create) {
        Ok(found) => found,
        Err(why) => return Ok(failed(why)),
    };
    if found.is_empty() {
        return Ok(Outcome { is_new: false, ..outcome });
    }
    let (address, progress) = (change.address.clone(), settings.progress.clone());
    Err(Box::pin(async move {
        match provision::all(&found, &address, progress.as_ref()).await {
            Ok(()) => Outcome { is_new: false, ..outcome },
            Err(why) => Outcome { error: Some(why), tainted: true, is_new: false, ..outcome },
        }
    }))
}

/// What was known when the plan was shown must still be so.
fn agrees(first: Option<&Entries>, last: &Entries) -> Result<(), String> {
    let Some(first) = first else { return Ok(()) };
    let differs = first.iter().find(|(name, value)| value.is_wholly_known() && last.get(*name) != Some(*value));
    match differs {
        Some((name, _)) => Err(format!("attribute {name} is no longer what was planned")),
        None => Ok(()),
    }
}

fn scripts(
    change: &Change,
    project: &Project,
    evaluator: &Evaluator<'_>,
    object: &Entries,
    when: provision::When,
) -> Result<Vec<Script>, String> {
    let Some(block) = placed_resource(change, project) else { return Ok(vec![]) };
    let wanted = block.provisioners.iter().filter(|p| p.on_destroy == (when == provision::When::Destroy));
    let scope = evaluator.scope(&change.parts.module).map_err(|p| p.to_string())?.repeated(&change.repetition);
    wanted.map(|p| provision::script(p, evaluator, &scope, object, &project.target.root)).collect()
}

/// The object of a state after what was found outside.
pub(super) fn refreshed(mut object: Object, drift: &Change) -> Object {
    let kind = builtin::kind(drift.parts.mode, &drift.parts.kind);
    object.current = match (&drift.after, object.current.take(), kind) {
        (Some(live), Some(stored), Some(kind)) => {
            Some(InstanceState { attributes: object::to_state(kind.schema(), live).attributes, ..stored })
        }
        _ => None,
    };
    object
}

/// The object the state keeps after an operation.
pub(super) fn store(
    operation: Operation,
    change: &Change,
    project: &Project,
    stored: Option<Object>,
    outcome: &Outcome,
) -> Option<Object> {
    let mut object = stored.unwrap_or_else(|| empty(change));
    match operation {
        Operation::Forget => return None,
        Operation::Delete if outcome.error.is_none() => object.current = None,
        Operation::DeleteOld if outcome.error.is_none() => {
            let key = change.deposed.clone().or_else(|| object.deposed.keys().next().cloned());
            key.map(|key| object.deposed.shift_remove(&key));
        }
        Operation::Delete | Operation::DeleteOld | Operation::Barrier => {}
        Operation::Make => made(&mut object, change, project, outcome),
    }
    Some(object)
}

fn made(object: &mut Object, change: &Change, project: &Project, outcome: &Outcome) {
    let Some(kind) = builtin::kind(change.parts.mode, &change.parts.kind) else { return };
    let Some(new) = &outcome.object else {
        // Nothing came back: what was there stays, unless it was never there.
        if change.action == ResourceAction::Create {
            object.current = None;
        }
        return;
    };
    if change.action == ResourceAction::CreateDelete
        && let Some(old) = object.current.take()
    {
        object.deposed.insert(deposed_key(change), old);
    }
    let mut instance = object::to_state(kind.schema(), new);
    instance.dependencies = project.order.needs(&change.block).to_vec();
    instance.create_before_destroy = change.create_first;
    instance.status = outcome.tainted.then(|| "tainted".to_owned());
    if let Some(old) = object.current.take() {
        instance.private = old.private;
        instance.rest = old.rest;
    }
    object.provider.clone_from(&change.provider);
    object.current = Some(instance);
}

/// Eight hexadecimal digits, the same whenever the same plan is applied.
fn deposed_key(change: &Change) -> String {
    lem_model::Digest::of(change.address.as_bytes()).hex()[..8].to_owned()
}

fn empty(change: &Change) -> Object {
    let parts = &change.parts;
    Object {
        module: module_text(&parts.module),
        data: false,
        kind: parts.kind.to_string(),
        name: parts.name.to_string(),
        provider: change.provider.clone(),
        key: crate::plan::key_json(parts.key.as_ref()),
        current: None,
        deposed: indexmap::IndexMap::new(),
    }
}
