//! The stage as part of the running program, over a ledger.

use crate::story::{FILE, Story, steps};
use async_trait::async_trait;
use jiff::Timestamp;
use lem_ledger::{EventLog, Filter, Recorder};
use lem_model::fact::{
    ChangeMerged, Outcome, PipelineCancelRequested, PipelineRequested, RegressionMarked, RunFinished, RunQueued,
    RunRejected, RunStarted,
};
use lem_model::port::{SecretSource, SourceError};
use lem_model::{CommitSha, Event, Fact};
use lem_pipeline::service::LOST;
use lem_pipeline::{PipelineService, RunsView};
use lem_testkit::MemoryLog;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Program {
    story: Story,
    log: Arc<dyn EventLog>,
}

impl Program {
    fn new(workflow: &str) -> Self {
        let clock = Arc::new(lem_ledger::SystemClock);
        Self { story: Story::new(workflow, &[]), log: Arc::new(MemoryLog::new(clock)) }
    }

    fn up(&self) -> (JoinHandle<()>, CancellationToken) {
        let service = PipelineService::new(self.story.pipeline(), Arc::clone(&self.log));
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        (tokio::spawn(async move { service.serve(stop).await.unwrap() }), cancel)
    }

    async fn say<F: Fact>(&self, fact: &F) {
        Recorder::new(Arc::clone(&self.log), "/test").record(fact).await.unwrap();
    }

    async fn events(&self) -> Vec<Event> {
        self.log.read(0, &Filter::all(), 10_000).await.unwrap()
    }

    async fn facts<F: Fact>(&self) -> Vec<F> {
        self.events().await.iter().filter_map(Event::read).collect()
    }

    /// Waits until there are `count` facts of a type.
    async fn wait<F: Fact>(&self, count: usize) -> Vec<F> {
        let wait = async {
            loop {
                let facts = self.facts::<F>().await;
                if facts.len() >= count {
                    return facts;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let types: Vec<_> = self.events().await.iter().map(|e| e.kind.short().to_owned()).collect();
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("{types:?}"))
    }

    fn merged(sha: &str) -> ChangeMerged {
        ChangeMerged {
            description: None,
            repository: None,
            sha: sha.into(),
            parent: None,
            branch: "main".into(),
            author: "Ann <ann@example.org>".into(),
            message: "change".into(),
            committed_at: None,
            files: vec![],
            files_omitted: 0,
        }
    }

    fn request(run: &str, sha: &str) -> PipelineRequested {
        PipelineRequested {
            run: run.into(),
            file: Some(FILE.into()),
            sha: sha.into(),
            branch: "main".into(),
            event: "push".into(),
            inputs: vec![],
            by: "person:ann".into(),
        }
    }
}

/// Lends one secret, and remembers who has it.
#[derive(Default)]
struct Lender {
    held: Mutex<Vec<String>>,
    lent: AtomicUsize,
}

#[async_trait]
impl SecretSource for Lender {
    async fn secret(&self, _name: &str) -> Result<Option<String>, SourceError> {
        Ok(Some("value".into()))
    }
    async fn names(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["KEY".into()])
    }
    async fn lease(&self, name: &str, to: &str) -> Result<Option<String>, SourceError> {
        self.held.lock().unwrap().push(to.to_owned());
        self.lent.fetch_add(1, Ordering::Relaxed);
        self.secret(name).await
    }
    async fn release(&self, to: &str) -> Result<(), SourceError> {
        self.held.lock().unwrap().retain(|holder| holder != to);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_lent_for_a_run_that_is_not_to_be_comes_back() {
    let program =
        Program::new("on: {push: {branches: [release]}}\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: 'true'\n");
    let sha = program.story.commit("second");
    let lender = Arc::new(Lender::default());
    let service = PipelineService::new(program.story.pipeline(), Arc::clone(&program.log)).with_secrets(lender.clone());
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let task = tokio::spawn(async move { service.serve(stop).await.unwrap() });
    program.say(&Program::merged(&sha)).await;
    // Asked for by name its triggers do not count: when it has run, the merged change was passed over.
    program.say(&Program::request("r1", &sha)).await;
    program.wait::<RunFinished>(1).await;
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(lender.lent.load(Ordering::Relaxed), 2);
    assert!(lender.held.lock().unwrap().is_empty(), "{:?}", lender.held.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_change_runs_and_tells_its_story() {
    let program = Program::new(&steps(
        "- run: echo ${{ github.actor }} > a\n- uses: actions/upload-artifact@v4\n  with: {name: shop, path: a}\n",
    ));
    let sha = program.story.commit("second");
    let mark = RegressionMarked {
        sha: sha.as_str().into(),
        incident: "i1".into(),
        service: "shop".into(),
        digest: None,
        sentence: "it broke production".into(),
    };
    program.say(&mark).await;
    let (task, cancel) = program.up();
    program.say(&Program::merged(&sha)).await;
    program.wait::<RunFinished>(1).await;
    cancel.cancel();
    task.await.unwrap();
    let types: Vec<_> = program.events().await.iter().map(|e| e.kind.short().to_owned()).collect();
    assert_eq!(
        types,
        [
            "regression.marked",
            "change.merged",
            "pipelinerun.queued",
            "pipelinerun.started",
            "taskrun.started",
            "step.finished",
            "artifact.packaged",
            "step.finished",
            "taskrun.finished",
            "pipelinerun.finished",
        ]
    );
    let mut view = RunsView::default();
    program.events().await.iter().for_each(|event| view.fold(event));
    let commit = CommitSha::from(sha.as_str());
    let run = view.of_commit(&commit).next().unwrap();
    assert_eq!((run.outcome, run.marks.as_slice()), (Some(Outcome::Success), &["it broke production".to_owned()][..]));
    assert!(
        program
            .events()
            .await
            .iter()
            .filter(|e| e.source == "/lem/pipeline")
            .all(|e| e.chain.as_deref() == Some(sha.as_str()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_heard_twice_runs_once_and_a_bad_file_is_rejected() {
    let program = Program::new(&steps("- run: 'true'\n"));
    let sha = program.story.commit("second");
    let (task, cancel) = program.up();
    program.say(&Program::request("r1", &sha)).await;
    program.say(&Program::request("r1", &sha)).await;
    program.say(&Program::request("r2", &sha)).await;
    program.wait::<RunFinished>(2).await;
    program.story.write(FILE, "on: push\njobs: {a: {steps: []}}\n");
    let bad = program.story.commit("third");
    program.say(&Program::merged(&bad)).await;
    let rejected = program.wait::<RunRejected>(1).await;
    assert_eq!(rejected[0].file, FILE);
    assert!(rejected[0].diagnostics[0].place.line > 0);
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(program.facts::<RunStarted>().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_a_lost_run_is_failed_and_a_queued_one_starts() {
    let program = Program::new(&steps("- run: 'true'\n"));
    let sha = program.story.commit("second");
    let queued = |run: &str| RunQueued {
        run: run.into(),
        pipeline_name: "ci".into(),
        uri: String::new(),
        sha: sha.as_str().into(),
        branch: "main".into(),
        file: FILE.into(),
        event: "push".into(),
        jobs: vec![],
        marks: vec![],
    };
    // What a program leaves behind that was killed: one run under way, one that waits.
    program.say(&queued("lost")).await;
    program
        .say(&RunStarted {
            run: "lost".into(),
            pipeline_name: "ci".into(),
            uri: String::new(),
            sha: sha.as_str().into(),
        })
        .await;
    program.say(&queued("waits")).await;
    let (task, cancel) = program.up();
    let ended = program.wait::<RunFinished>(2).await;
    cancel.cancel();
    task.await.unwrap();
    let how = |run: &str| ended.iter().find(|f| f.run.as_str() == run).map(|f| (f.outcome, f.errors.clone())).unwrap();
    assert_eq!(how("lost"), (Outcome::Error, Some(LOST.to_owned())));
    assert_eq!(how("waits"), (Outcome::Success, None));
    let (task, cancel) = program.up();
    tokio::task::yield_now().await;
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(program.facts::<RunFinished>().await.len(), 2, "a second restart changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_dies_mid_run_leaves_a_run_that_is_lost() {
    let program = Program::new(&steps("- run: exec -a lemcrashed sleep 300\n"));
    let sha = program.story.commit("second");
    let (task, _cancel) = program.up();
    program.say(&Program::request("r1", &sha)).await;
    program.wait::<lem_model::fact::JobStarted>(1).await;
    task.abort();
    let _ = task.await;
    let (task, cancel) = program.up();
    let ended = program.wait::<RunFinished>(1).await;
    assert_eq!((ended[0].outcome, ended[0].errors.as_deref()), (Outcome::Error, Some(LOST)));
    cancel.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_cancelled_and_groups_take_turns() {
    let program =
        Program::new(&format!("concurrency: one\n{}", steps("- run: 'while [ ! -e /tmp/x ]; do sleep 0.01; done'\n")));
    let sha = program.story.commit("second");
    let (task, cancel) = program.up();
    for run in ["r1", "r2", "r3"] {
        program.say(&Program::request(run, &sha)).await;
    }
    let superseded = program.wait::<RunFinished>(1).await;
    assert_eq!((superseded[0].run.as_str(), superseded[0].outcome), ("r2", Outcome::Cancel));
    assert!(superseded[0].errors.as_ref().unwrap().contains("newer run"));
    program.wait::<lem_model::fact::JobStarted>(1).await;
    program.say(&PipelineCancelRequested { run: "r1".into(), reason: "enough".into(), by: "person:ann".into() }).await;
    let ended = program.wait::<RunFinished>(2).await;
    assert_eq!((ended[1].run.as_str(), ended[1].outcome), ("r1", Outcome::Cancel));
    let started = program.wait::<RunStarted>(2).await;
    assert_eq!(started[1].run.as_str(), "r3");
    cancel.cancel();
    task.await.unwrap();
    let ended = program.facts::<RunFinished>().await;
    assert_eq!(
        (ended[2].run.as_str(), ended[2].outcome),
        ("r3", Outcome::Cancel),
        "an orderly end stops what runs and says so"
    );
    assert!(ended[2].sha == CommitSha::from(sha.as_str()) && Timestamp::now() > Timestamp::UNIX_EPOCH);
}
