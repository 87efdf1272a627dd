//! One request under way to a version: counted in at the start, recorded at its end, however it ends.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::observe::{AccessLog, AccessRecord, Upstream};
use crate::table::Version;

/// Status recorded when the client left before there was an answer.
const CLIENT_LEFT: u16 = 499;

/// A request that a version is answering.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) version: Arc<Version>,
    pub(crate) started: Instant,
    pub(crate) status: u16,
    pub(crate) upstream: Upstream,
    pub(crate) note: Option<Box<Note>>,
}

/// What the access log wants to know besides.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) log: Arc<AccessLog>,
    pub(crate) time: SystemTime,
    pub(crate) method: http::Method,
    pub(crate) target: http::Uri,
}

impl Flight {
    /// The version has counted the request in already.
    pub(crate) fn new(version: Arc<Version>, started: Instant) -> Self {
        Self { version, started, status: CLIENT_LEFT, upstream: Upstream::Fine, note: None }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        self.version.stats.record(self.status, self.upstream, duration);
        if let Some(note) = self.note.take() {
            note.log.push(AccessRecord {
                time: note.time,
                app: self.version.app.name.clone(),
                version: self.version.id.clone(),
                method: note.method,
                target: note.target,
                status: self.status,
                duration,
            });
        }
        self.version.leave();
    }
}
