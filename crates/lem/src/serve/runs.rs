//! Logs of jobs and archives of artifacts, as the server asks for them.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use lem_model::Digest;
use lem_pipeline::logs::{Level, LogError, Record};
use lem_pipeline::results::blob::Blobs;
use lem_pipeline::{LogBook, LogLine};
use lem_server::dto::{JobLog, JobLogLine};
use lem_server::port::{Artifacts, PartError, RunLogs};
use std::path::{Path, PathBuf};

/// The pipeline's logs.
pub(super) struct Logs(pub(super) LogBook);

fn failed(error: LogError) -> PartError {
    match error {
        LogError::Missing { run, job } => PartError::Missing(format!("log of job {job} in run {run} yet")),
        LogError::Io { path, source } => PartError::Failed(format!("cannot read {path}: {source}")),
    }
}

/// Where a line of a log stands: its step, its group, what it says about itself.
struct Places {
    records: Vec<Record>,
    next: usize,
    step: Option<u32>,
    groups: Vec<String>,
}

impl Places {
    fn new(records: Vec<Record>) -> Self {
        Self { records, next: 0, step: None, groups: vec![] }
    }

    /// Lines have to come in order.
    fn line(&mut self, line: LogLine) -> JobLogLine {
        let mut level = None;
        while let Some(record) = self.records.get(self.next).filter(|record| at(record) <= line.number) {
            match record {
                Record::Step { index, .. } => {
                    self.step = Some(*index);
                    self.groups.clear();
                }
                Record::Group { title, .. } => self.groups.push(title.clone()),
                Record::GroupEnd { .. } => drop(self.groups.pop()),
                Record::Annotation { line: at, level: said, .. } if *at == line.number => level = Some(word(*said)),
                Record::StepEnd { .. } | Record::Annotation { .. } | Record::Summary { .. } => {}
            }
            self.next += 1;
        }
        let at = i64::try_from(line.time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        JobLogLine {
            n: line.number,
            at: at.unwrap_or(Timestamp::UNIX_EPOCH).into(),
            step: self.step,
            stream: None,
            text: line.text,
            group: self.groups.last().cloned(),
            level: level.map(str::to_owned),
        }
    }
}

/// Line a record stands before.
fn at(record: &Record) -> u64 {
    match record {
        Record::Step { line, .. }
        | Record::StepEnd { line, .. }
        | Record::Group { line, .. }
        | Record::GroupEnd { line }
        | Record::Annotation { line, .. } => *line,
        Record::Summary { .. } => 0,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// Files are read beside the runtime's own threads.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[async_trait]
impl RunLogs for Logs {
    async fn page(&self, run: &str, job: &str, from: u64, limit: u64) -> Result<JobLog, PartError> {
        let (book, run, job) = (self.0.clone(), run.to_owned(), job.to_owned());
        beside(move || {
            let page = book.read(&run, &job, from, limit).map_err(failed)?;
            let mut places = Places::new(book.records(&run, &job).map_err(failed)?);
            let next = page.lines.last().map_or(from, |line| line.number + 1);
            let lines = page.lines.into_iter().map(|line| places.line(line)).collect();
            Ok(JobLog { lines, next, done: !page.live && next >= page.total })
        })
        .await
    }

    async fn follow(
        &self,
        run: &str,
        job: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<JobLogLine, PartError>>, PartError> {
        let follower = self.0.follow(run, job, from).map_err(failed)?;
        let (book, run, job) = (self.0.clone(), run.to_owned(), job.to_owned());
        let batches = futures::stream::unfold(Some((follower, book, run, job)), |state| async move {
            let (mut follower, book, run, job) = state?;
            let lines = match follower.next().await {
                Ok(Some(lines)) => lines,
                Ok(None) => return None,
                Err(error) => return Some((vec![Err(failed(error))], None)),
            };
            // Records of lines that were just written are written before them.
            let mut places = Places::new(book.records(&run, &job).unwrap_or_default());
            let told = lines.into_iter().map(|line| Ok(places.line(line))).collect::<Vec<_>>();
            Some((told, Some((follower, book, run, job))))
        });
        Ok(batches.flat_map(futures::stream::iter).boxed())
    }

    fn file(&self, run: &str, job: &str) -> PathBuf {
        self.0.path(run, job)
    }

    async fn summary(&self, run: &str, job: &str) -> Option<String> {
        let (book, run, job) = (self.0.clone(), run.to_owned(), job.to_owned());
        let records = beside(move || book.records(&run, &job)).await.ok()?;
        let said = records.into_iter().filter_map(|record| match record {
            Record::Summary { markdown, .. } => Some(markdown),
            _ => None,
        });
        Some(said.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
    }
}

/// The pipeline's archives.
pub(super) struct Archives(Blobs);

impl Archives {
    pub(super) fn new(data: &Path) -> Self {
        Self(Blobs::new(data.join("pipeline").join("blobs")))
    }
}

impl Artifacts for Archives {
    fn file(&self, digest: &Digest) -> Result<PathBuf, PartError> {
        let path = self.0.location(digest).map_err(|error| PartError::Failed(error.to_string()))?;
        if path.exists() { Ok(path) } else { Err(PartError::Missing(format!("artifact {digest}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_knows_its_step_its_group_and_its_level() {
        let step = |line, index| Record::Step { line, time_ms: 0, index, name: String::new() };
        let warning = Record::Annotation {
            line: 2,
            index: 0,
            level: Level::Warning,
            message: "old".into(),
            target: lem_pipeline::logs::Target::default(),
        };
        let mut places = Places::new(vec![
            step(0, 0),
            Record::Group { line: 1, title: "install".into() },
            warning,
            Record::GroupEnd { line: 3 },
            step(4, 1),
        ]);
        let told = (0..5).map(|number| places.line(LogLine { number, time_ms: 1000, text: "x".into() }));
        let told: Vec<_> = told.map(|l| (l.step, l.group, l.level)).collect();
        let install = || Some("install".to_owned());
        assert_eq!(
            told,
            [
                (Some(0), None, None),
                (Some(0), install(), None),
                (Some(0), install(), Some("warning".to_owned())),
                (Some(0), None, None),
                (Some(1), None, None),
            ]
        );
    }
}
