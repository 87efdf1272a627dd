//! Where the state of an environment is kept: the state file, the journal of what is not folded yet, the key, the lock.
//!
//! In: a folder and the state file's path. Out: the state as it really is (file and journal together), and, under the
//! lease, a [`Session`] that journals results and folds them. A state file is replaced whole or not at all.

use crate::ProvisionError;
use crate::error::io;
use crate::journal::{self, Journal, Key, Record};
use crate::lock::{self, Holder, Lease, LeaseTimes, LockFiles};
use crate::state::{Object, OutputState, State};
use indexmap::IndexMap;
use lem_model::Clock;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The files of one environment.
#[derive(Clone)]
pub struct Store {
    folder: PathBuf,
    state: PathBuf,
    clock: Arc<dyn Clock>,
    times: LeaseTimes,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The state as it really is.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// File and journal together.
    pub state: State,
    /// Whether a state exists at all.
    pub exists: bool,
    /// Addresses whose operation had begun and whose result is not known.
    pub pending: Vec<(String, String)>,
    /// Whether a journal waits to be folded.
    pub unfolded: bool,
}

impl Store {
    /// The store of an environment. `folder` holds the journal, the key and the lease; `state` is the state file.
    pub fn new(folder: &Path, state: &Path, clock: Arc<dyn Clock>, times: LeaseTimes) -> Self {
        Self { folder: folder.to_owned(), state: state.to_owned(), clock, times }
    }

    /// State file.
    pub fn state_path(&self) -> &Path {
        &self.state
    }

    fn journal_path(&self) -> PathBuf {
        self.folder.join("journal")
    }

    fn key(&self) -> Result<Key, ProvisionError> {
        Key::load_or_create(&self.folder.join("key"))
    }

    fn lock_files(&self) -> LockFiles {
        let name = self.state.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        LockFiles {
            lease: self.folder.join("lease.json"),
            guard: self.folder.join("lease.guard"),
            foreign: self.state.with_file_name(format!(".{name}.lock.info")),
            state: self.state.clone(),
        }
    }

    /// Who holds the lock now.
    pub fn holder(&self) -> Option<Holder> {
        lock::holder(&self.lock_files(), self.clock.now())
    }

    /// Frees a lock by its identity.
    pub fn unlock(&self, id: &str) -> Result<bool, ProvisionError> {
        self.make_folders()?;
        lock::unlock(&self.lock_files(), id)
    }

    fn make_folders(&self) -> Result<(), ProvisionError> {
        let beside = self.state.parent().unwrap_or(Path::new("."));
        for folder in [self.folder.as_path(), beside] {
            std::fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        Ok(())
    }

    /// The state without taking the lock: what a journal holds counts as applied.
    pub fn load(&self) -> Result<Loaded, ProvisionError> {
        let file = State::load(&self.state)?;
        let exists = file.is_some();
        let journal = self.journal_path();
        if !journal.exists() {
            let state = file.unwrap_or_else(|| State::new(uuid::Uuid::new_v4().to_string()));
            return Ok(Loaded { state, exists, pending: vec![], unfolded: false });
        }
        let recovered = journal::read(&journal, &self.key()?)?;
        let mut records = recovered.records.into_iter();
        let Some(Record::Begin { lineage, serial, .. }) = records.next() else {
            // Torn before its first record: nothing was ever acknowledged.
            let state = file.unwrap_or_else(|| State::new(uuid::Uuid::new_v4().to_string()));
            return Ok(Loaded { state, exists, pending: vec![], unfolded: true });
        };
        let state = file.unwrap_or_else(|| State::at(lineage.clone(), serial));
        if state.lineage == lineage && state.serial == serial + 1 {
            // Folded already; the kill came before the journal was removed.
            return Ok(Loaded { state, exists, pending: vec![], unfolded: true });
        }
        if state.lineage != lineage || state.serial != serial {
            return Err(self.mismatch(&state, &lineage, serial));
        }
        let mut loaded = Loaded { state, exists: true, pending: vec![], unfolded: true };
        records.for_each(|record| loaded.replay(record));
        Ok(loaded)
    }

    fn mismatch(&self, state: &State, lineage: &str, serial: u64) -> ProvisionError {
        let journal = self.journal_path();
        let why = format!(
            "its lineage is {} and its serial {}, but the journal {} continues lineage {lineage}, serial {serial}; \
             put the state the journal belongs to back, or move the journal away to give its results up",
            state.lineage,
            state.serial,
            journal.display()
        );
        ProvisionError::State { path: self.state.clone(), why }
    }

    /// Takes the lock, reconciles what a killed holder left, and is ready to work.
    pub async fn session(
        &self,
        operation: &str,
        timeout: Duration,
        waiting: &(dyn Fn(&Holder) + Sync),
    ) -> Result<Session, ProvisionError> {
        self.make_folders()?;
        let lease =
            Lease::acquire(self.lock_files(), operation, self.times, self.clock.clone(), timeout, waiting).await?;
        let loaded = self.load()?;
        let mut session =
            Session { store: self.clone(), lease, journal: None, state: loaded.state, existed: loaded.exists };
        if loaded.unfolded {
            session.fold()?;
        }
        Ok(session)
    }
}

impl Loaded {
    fn replay(&mut self, record: Record) {
        match record {
            Record::Begin { .. } | Record::End => {}
            Record::Intent { address, operation } => self.pending.push((address, operation)),
            Record::Result { address, object } => {
                self.pending.retain(|(pending, _)| *pending != address);
                put(&mut self.state, address, object.map(|o| *o));
            }
            Record::Outputs { outputs } => self.state.outputs = outputs,
        }
    }
}

fn put(state: &mut State, address: String, object: Option<Object>) {
    match object {
        Some(object) if object.current.is_some() || !object.deposed.is_empty() => {
            state.objects.insert(address, object);
        }
        _ => drop(state.objects.remove(&address)),
    }
}

/// The right to change an environment's state, and its state meanwhile.
#[derive(Debug)]
pub struct Session {
    store: Store,
    lease: Lease,
    journal: Option<Journal>,
    state: State,
    existed: bool,
}

impl Session {
    /// The state as it is now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether there was a state before.
    pub fn existed(&self) -> bool {
        self.existed
    }

    /// The lease that gives the right.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Starts the journal of an operation.
    pub fn begin(&mut self, plan: &str) -> Result<(), ProvisionError> {
        let begin =
            Record::Begin { lineage: self.state.lineage.clone(), serial: self.state.serial, plan: plan.to_owned() };
        self.journal = Some(Journal::create(&self.store.journal_path(), &self.store.key()?, &begin)?);
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<journal::Ticket, ProvisionError> {
        if self.lease.lost().is_cancelled() {
            return Err(ProvisionError::LeaseLost);
        }
        self.journal.as_mut().expect("a journal is begun before results come").append(record)
    }

    /// Notes that something with an outside effect starts; the answer comes when the note is on the disk.
    pub fn intent(&mut self, address: &str, operation: &str) -> Result<journal::Ticket, ProvisionError> {
        self.append(&Record::Intent { address: address.to_owned(), operation: operation.to_owned() })
    }

    /// Takes a result; the answer comes when it is on the disk.
    pub fn result(&mut self, address: &str, object: Option<Object>) -> Result<journal::Ticket, ProvisionError> {
        let record = Record::Result { address: address.to_owned(), object: object.map(Box::new) };
        let ticket = self.append(&record)?;
        let Record::Result { object, .. } = record else { return Ok(ticket) };
        put(&mut self.state, address.to_owned(), object.map(|o| *o));
        Ok(ticket)
    }

    /// Takes the outputs.
    pub fn outputs(&mut self, outputs: IndexMap<String, OutputState>) -> Result<journal::Ticket, ProvisionError> {
        let ticket = self.append(&Record::Outputs { outputs: outputs.clone() })?;
        self.state.outputs = outputs;
        Ok(ticket)
    }

    /// Changes the state as a whole, for `state mv` and `state rm`.
    pub fn edit(&mut self, change: impl FnOnce(&mut State)) -> Result<(), ProvisionError> {
        change(&mut self.state);
        self.fold()
    }

    /// Writes the state file anew and removes the journal. Nothing happens to the state file when the lease is lost.
    pub fn fold(&mut self) -> Result<(), ProvisionError> {
        if let Some(journal) = self.journal.take() {
            journal.close();
        }
        if self.lease.lost().is_cancelled() {
            return Err(ProvisionError::LeaseLost);
        }
        let on_disk = State::load(&self.store.state)?;
        if let Some(other) = on_disk.filter(|s| s.lineage != self.state.lineage || s.serial > self.state.serial) {
            return Err(self.store.mismatch(&other, &self.state.lineage, self.state.serial));
        }
        self.state.serial += 1;
        let backup = self.store.state.with_extension("tfstate.backup");
        if self.store.state.exists() {
            let old = std::fs::read(&self.store.state).map_err(io("read", &self.store.state))?;
            replace(&backup, &old)?;
        }
        replace(&self.store.state, self.state.to_text().as_bytes())?;
        let journal = self.store.journal_path();
        if journal.exists() {
            std::fs::remove_file(&journal).map_err(io("remove", &journal))?;
        }
        sync_directory(&journal)
    }
}

/// Replaces a file whole: written aside, synced, renamed, directory synced. Only its owner may read it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ProvisionError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside).and_then(
        |mut file: File| {
            file.write_all(bytes)?;
            file.sync_all()
        },
    );
    written.map_err(io("write", &aside))?;
    std::fs::rename(&aside, path).map_err(io("replace", path))?;
    sync_directory(path)
}

/// Syncs the directory a file is in.
pub(crate) fn sync_directory(path: &Path) -> Result<(), ProvisionError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(io("sync", folder))
}

/// Gives an object another address, for `state mv`.
pub fn rename(session: &mut Session, from: &str, to: &str) -> Result<(), ProvisionError> {
    let fail = |why: String| ProvisionError::Document { what: format!("state mv {from} {to}"), why };
    let address: lem_engine_hcl::ResourceAddress = to.parse().map_err(|e| fail(format!("{e}")))?;
    if session.state().objects.contains_key(to) {
        return Err(fail(format!("there is an object at {to} already")));
    }
    let Some(object) = session.state().objects.get(from).cloned() else {
        return Err(fail(format!("the state has no {from}")));
    };
    if *object.kind != *address.kind {
        return Err(fail("an object keeps its type".to_owned()));
    }
    session.edit(|state| {
        state.objects.remove(from);
        state.objects.insert(to.to_owned(), crate::plan::readdress(object, to));
    })
}
