//! Providers that are built in: no process, no download.
//!
//! In: a type's planned values. Out: what exists afterwards. A type says what it takes ([`Schema`]) and what creating,
//! reading, updating and deleting mean; everything else is the planner's.

mod http;
mod local;
mod random;
mod terraform;
mod time;
mod tls;

use crate::schema::{Schema, Wrong};
use async_trait::async_trait;
use lem_engine_hcl::Mode;
use lem_engine_hcl::value::Entries;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// What happened to an object: what is there now, and what went wrong on the way.
#[derive(Clone, Debug)]
pub struct Made {
    /// The object; `None` when there is none.
    pub object: Option<Entries>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Made {
    fn done(object: Entries) -> Self {
        Self { object: Some(object), error: None }
    }

    fn failed(object: Option<Entries>, why: impl Into<String>) -> Self {
        Self { object, error: Some(why.into()) }
    }
}

/// What providers may know of the run.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Folder that relative paths start from.
    pub folder: PathBuf,
    /// The time.
    pub now: jiff::Timestamp,
}

/// One resource type or data source.
#[async_trait]
pub trait Kind: Send + Sync {
    /// Arguments and attributes.
    fn schema(&self) -> &Schema;

    /// Source address of the provider, as state files write it.
    fn provider(&self) -> &'static str;

    /// What arguments say together that a schema cannot.
    fn check(&self, _config: &Entries) -> Option<Wrong> {
        None
    }

    /// Says which computed attributes a change makes unknown again. `planned` has prior values in them.
    fn unsettle(&self, _prior: &Entries, _planned: &Entries) -> Vec<&'static str> {
        vec![]
    }

    /// Makes the object; unknown attributes of `planned` are to be filled.
    async fn create(&self, planned: Entries, around: &Surroundings) -> Made;

    /// Changes the object in place.
    async fn update(&self, _prior: &Entries, planned: Entries, around: &Surroundings) -> Made {
        self.create(planned, around).await
    }

    /// Deletes the object.
    async fn delete(&self, _prior: &Entries, _around: &Surroundings) -> Result<(), String> {
        Ok(())
    }

    /// The object as it is; `None` when it is gone. Data sources answer from their arguments.
    async fn read(&self, prior: &Entries, _around: &Surroundings) -> Result<Option<Entries>, String> {
        Ok(Some(prior.clone()))
    }

    /// The object of an identifier; `None` when the type cannot be imported.
    fn import(&self, _id: &str) -> Option<Entries> {
        None
    }

    /// Whether a call changes anything outside the state: then its intent is on the disk first.
    fn has_outside_effect(&self) -> bool {
        false
    }
}

type Registered = (Mode, &'static str, Box<dyn Kind>);

static KINDS: LazyLock<Vec<Registered>> = LazyLock::new(|| {
    let mut all: Vec<Registered> = vec![];
    all.extend(terraform::kinds());
    all.extend(random::kinds());
    all.extend(local::kinds());
    all.extend(time::kinds());
    all.extend(tls::kinds());
    all.extend(http::kinds());
    all
});

/// A type that is built in.
pub fn kind(mode: Mode, name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().find(|(m, n, _)| *m == mode && *n == name).map(|(_, _, kind)| kind.as_ref())
}

/// Names of the types that are built in, for "did you mean".
pub fn names(mode: Mode) -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(move |(m, _, _)| *m == mode).map(|(_, name, _)| *name)
}

/// `provider["..."]` of a state file.
pub fn provider_address(source: &str) -> String {
    format!("provider[\"{source}\"]")
}

/// Puts a value into an object.
fn put(object: &mut Entries, name: &str, value: impl Into<lem_engine_hcl::Value>) {
    object.insert(Arc::from(name), value.into());
}

/// Text of an attribute, when it is known.
fn text<'a>(object: &'a Entries, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}
