//! The journal of an apply: every result is on the disk before anything that depends on it starts.
//!
//! In: [`Record`]s. Out: a file of frames (length, CRC32C, payload), each payload encrypted under the environment's
//! key; one fsync serves all records that wait for one. Reading cuts a torn tail and stops at damage before it, naming
//! the offset. Nothing in it is readable without the key, and nothing is ever overwritten in place.

mod frame;
mod key;

pub use frame::{MAX_RECORD_BYTES, Recovered, read};
pub use key::Key;

use crate::ProvisionError;
use crate::error::io;
use crate::state::{Object, OutputState};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Records that one fsync serves at most.
pub const MAX_GROUP: usize = 4096;

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// First of a file: what it starts from.
    Begin {
        /// Lineage of the state.
        lineage: String,
        /// Serial of the state.
        serial: u64,
        /// Digest of the plan, or the name of another operation.
        plan: String,
    },
    /// Something with an outside effect is about to start.
    Intent {
        /// Address.
        address: String,
        /// create, update, delete.
        operation: String,
    },
    /// An object as it is now; without one it is gone.
    Result {
        /// Address.
        address: String,
        /// The object.
        object: Option<Box<Object>>,
    },
    /// Outputs of the root module.
    Outputs {
        /// By name.
        outputs: IndexMap<String, OutputState>,
    },
    /// The operation came to its end.
    End,
}

/// Answer to one append: whether it is on the disk.
pub type Ticket = oneshot::Receiver<Result<(), String>>;

struct Waiting {
    bytes: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

/// An open journal. One thread writes it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    key: Key,
    sequence: u64,
    sender: Option<mpsc::Sender<Waiting>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Journal {
    /// Starts a journal; one that exists is a bug of the caller, who must fold it first.
    pub fn create(path: &Path, key: &Key, begin: &Record) -> Result<Self, ProvisionError> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).mode(0o600).open(path).map_err(io("create", path))?;
        let (sender, receiver) = mpsc::channel();
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_groups(file, &receiver))
            .map_err(io("start the writer of", path))?;
        let mut journal =
            Self { path: path.to_owned(), key: key.clone(), sequence: 0, sender: Some(sender), writer: Some(writer) };
        let ticket = journal.append(begin)?;
        journal.wait(ticket)?;
        crate::store::sync_directory(path)?;
        Ok(journal)
    }

    /// Queues a record; the ticket answers once it is on the disk.
    pub fn append(&mut self, record: &Record) -> Result<Ticket, ProvisionError> {
        let text = serde_json::to_vec(record).expect("a record has string keys only");
        let bytes = frame::frame(&self.key, self.sequence, &text).map_err(|why| self.failed(why))?;
        self.sequence += 1;
        let (done, ticket) = oneshot::channel();
        let sender = self.sender.as_ref().expect("the sender lives until close");
        sender.send(Waiting { bytes, done }).map_err(|_| self.failed("its writer ended".to_owned()))?;
        Ok(ticket)
    }

    /// Blocks until a record is on the disk.
    pub fn wait(&self, ticket: Ticket) -> Result<(), ProvisionError> {
        // The writer is a thread of its own, so a short wait blocks nothing it needs.
        let answer = futures::executor::block_on(ticket);
        answer.map_err(|_| "its writer ended".to_owned()).and_then(|r| r).map_err(|why| self.failed(why))
    }

    /// Waits for everything that is queued and closes the file.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.sender.take();
        if let Some(writer) = self.writer.take() {
            let _ended = writer.join();
        }
    }

    fn failed(&self, why: String) -> ProvisionError {
        ProvisionError::File { doing: "write", path: self.path.clone(), source: std::io::Error::other(why) }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Takes whatever waits, writes it at once, syncs once, answers all.
fn write_groups(mut file: File, receiver: &mpsc::Receiver<Waiting>) {
    let mut broken: Option<String> = None;
    while let Ok(first) = receiver.recv() {
        let mut group = vec![first];
        while group.len() < MAX_GROUP {
            let Ok(next) = receiver.try_recv() else { break };
            group.push(next);
        }
        if broken.is_none() {
            let bytes: Vec<u8> = group.iter().flat_map(|w| w.bytes.iter().copied()).collect();
            let written = file.write_all(&bytes).and_then(|()| file.sync_data());
            // After a failed write the end of the file is not known, so nothing more goes there.
            broken = written.err().map(|error| error.to_string());
        }
        for waiting in group {
            let _gone = waiting.done.send(broken.clone().map_or(Ok(()), Err));
        }
    }
}
