//! The sandbox, time limits, and that no process is left.

use crate::story::{FILE, Story, steps};
use lem_model::fact::Outcome;
use lem_pipeline::engine::embedded::{Embedded, Options, Wanted};
use lem_pipeline::service::Progress;
use lem_pipeline::{Pipeline, PipelineConfig, RunRequest};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn quick(wanted: Wanted) -> Arc<Embedded> {
    let grace = Duration::from_millis(100);
    Arc::new(Embedded::new(Options { wanted, interrupt_grace: grace, terminate_grace: grace }))
}

fn pipeline(story: &Story, wanted: Wanted) -> Pipeline {
    Pipeline::with_executor(&story.root(), &story.data(), PipelineConfig::default(), quick(wanted))
}

/// How many processes have this text in their command line.
fn alive(marker: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(marker)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_keeps_the_machine_as_it_is() {
    let told = Story::new(
        &steps("- run: |\n    touch /usr/x 2>/dev/null || echo root is read-only\n    touch /tmp/x && echo tmp is private: $(ls /tmp | grep -c '^x$')\n    touch $HOME/x && [ $HOME != /root ] && echo home is private\n    [ $(ls /proc | grep -c '^[0-9]') -lt 10 ] && echo processes are private\n    mount -o remount,rw / 2>/dev/null || echo no privileges\n    grep NoNewPrivs /proc/self/status\n"),
        &[],
    )
    .run()
    .await;
    assert_eq!(
        told.log("job"),
        [
            "root is read-only",
            "tmp is private: 1",
            "home is private",
            "processes are private",
            "no privileges",
            "NoNewPrivs:\t1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_and_jobs_have_their_time() {
    for (workflow, error) in [
        (steps("- timeout-minutes: 0.005\n  run: sleep 60\n- run: echo never\n"), "the step exceeded its time"),
        (
            steps("- run: sleep 60\n").replace("    steps:", "    timeout-minutes: 0.005\n    steps:"),
            "the step exceeded its time",
        ),
    ] {
        let story = Story::new(&workflow, &[]);
        let began = Instant::now();
        let result = pipeline(&story, Wanted::Sandbox)
            .run(&RunRequest::default(), None, CancellationToken::new())
            .await
            .unwrap();
        assert!(began.elapsed() < Duration::from_secs(20));
        let job = &result.runs[0].view.jobs["job"];
        assert_eq!(job.conclusion, Some(Outcome::Failure));
        assert!(job.errors.as_ref().unwrap().contains(error), "{:?}", job.errors);
    }
}

async fn cancelled(wanted: Wanted, marker: &str) {
    // A tree that ignores what it can ignore: children in the background, orphans, sessions of their own.
    let script = format!(
        "- run: |\n    trap '' INT TERM\n    (trap '' INT TERM; exec -a {marker}-child sleep 300) &\n    (setsid bash -c 'trap \"\" INT TERM; (exec -a {marker}-orphan sleep 300) & disown' ) &\n    echo ready\n    exec -a {marker}-self sleep 300\n- if: always()\n  run: echo cleanup\n"
    );
    let story = Story::new(&steps(&script), &[]);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let listener = Arc::new(move |progress: Progress| {
        if let Progress::Line { line, .. } = progress
            && line.text == "ready"
        {
            stop.cancel();
        }
    });
    let pipeline = pipeline(&story, wanted);
    let result = pipeline.run(&RunRequest::default(), Some(listener), cancel).await.unwrap();
    assert_eq!(result.runs[0].outcome.outcome, Outcome::Cancel);
    let log = pipeline.logs().read(result.runs[0].run.as_str(), "job", 0, 100).unwrap();
    let lines: Vec<_> = log.lines.iter().map(|l| l.text.as_str()).filter(|l| !l.contains("isolation")).collect();
    assert_eq!(lines, ["ready", "##[error]the step was cancelled", "cleanup"], "{:?}", result.runs[0].view.jobs);
    assert_eq!(alive(&format!("{marker}-")), 0, "nothing of the job is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_the_whole_tree_in_the_sandbox() {
    cancelled(Wanted::Sandbox, "lemtreea").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_the_whole_tree_on_the_host() {
    cancelled(Wanted::Host, "lemtreeb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn background_processes_live_as_long_as_their_job() {
    let story = Story::new(
        &steps(
            "- run: (exec -a lemservice sleep 300) & echo $! > pid\n- run: kill -0 $(cat pid) && echo still there\n",
        ),
        &[],
    );
    let told = story.run().await;
    assert_eq!(told.log("job"), ["still there"]);
    assert_eq!(alive("lemservice"), 0);
    assert_eq!(told.run().outcome.outcome, Outcome::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_nothing() {
    let story = Story::new(&steps("- run: echo ready; exec -a lemdropped sleep 300\n"), &[]);
    let pipeline = story.pipeline();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let listener = Arc::new(move |progress: Progress| {
        if matches!(progress, Progress::Line { .. }) {
            let _ = tell.send(());
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(async move {
        pipeline.run(&RunRequest::default(), Some(listener), CancellationToken::new()).await.map(|_| ())
    });
    told.recv().await.unwrap();
    tokio::task::block_in_place(|| runtime.shutdown_timeout(Duration::from_secs(5)));
    assert_eq!(alive("lemdropped"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_are_quick_and_clean() {
    let mut workflow = "on: push\njobs:\n".to_owned();
    (0..100).for_each(|i| {
        workflow.push_str(&format!("  j{i}: {{runs-on: ubuntu-latest, steps: [{{run: 'echo {i}'}}]}}\n"));
    });
    let story = Story::new("on: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n", &[]);
    story.write(FILE, &workflow);
    story.commit("many");
    let told = story.run().await;
    assert_eq!(told.run().view.jobs.len(), 100);
    assert!(told.result.is_success());
    assert_eq!(std::fs::read_dir(story.data().join("work")).map_or(0, Iterator::count), 0, "no work directory is left");
}
