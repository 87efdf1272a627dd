//! Logs, commands, masking, summaries.

use crate::story::{Story, steps};
use lem_model::fact::Outcome;
use lem_pipeline::RunRequest;
use lem_pipeline::logs::{Level, MAX_LINE_BYTES, Record};

#[tokio::test(flavor = "multi_thread")]
async fn commands_become_records() {
    let told = Story::new(
        &steps("- name: say\n  run: |\n    echo '::group::one'\n    echo in\n    echo '::endgroup::'\n    echo '::warning file=a.rs,line=3::mind%0Athis'\n    echo '::debug::not shown'\n    echo '# sum' >> $GITHUB_STEP_SUMMARY\n    printf 'no newline'\n"),
        &[],
    )
    .run()
    .await;
    assert_eq!(told.log("job"), ["##[group]one", "in", "##[endgroup]", "##[warning]mind", "this", "no newline"]);
    let records = told.pipeline.logs().records(told.run().run.as_str(), "job").unwrap();
    assert!(records.iter().any(|r| matches!(r, Record::Group { line: 0, title } if title == "one")));
    assert!(
        records.iter().any(|r| matches!(r, Record::Annotation { line: 3, level: Level::Warning, message, target, .. }
        if message == "mind\nthis" && target.line == Some(3)))
    );
    assert!(records.iter().any(|r| matches!(r, Record::Summary { markdown, .. } if markdown == "# sum")));
    assert!(matches!(&records[0], Record::Step { index: 0, name, .. } if name == "say"));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_hidden_however_they_are_written() {
    let request = RunRequest {
        secrets: [("TOKEN".to_owned(), "s3cr3t-value".to_owned())].into_iter().collect(),
        ..RunRequest::default()
    };
    let told = Story::new(
        &steps("- env: {T: '${{ secrets.TOKEN }}'}\n  run: |\n    echo \"x $T y\"; echo -n $T | base64; printf 's3cr3t'; sleep 0.05; echo '-value'\n    echo '::add-mask::later-one'; echo later-one; echo '::add-mask::'\n    echo \"::error::$T\"; echo v=$T >> $GITHUB_STEP_SUMMARY\n"),
        &[],
    )
    .run_with(request)
    .await;
    assert_eq!(
        told.log("job"),
        ["x *** y", "***", "***", "***", "##[warning]add-mask without a value hides nothing", "##[error]***"]
    );
    let raw =
        std::fs::read(told.pipeline.logs().path(told.run().run.as_str(), "job").with_extension("ndjson")).unwrap();
    assert!(!String::from_utf8(raw).unwrap().contains("s3cr3t-value"), "records are masked too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_does_not_leave_its_job_as_an_output() {
    let request = RunRequest {
        secrets: [("TOKEN".to_owned(), "s3cr3t-value".to_owned())].into_iter().collect(),
        ..RunRequest::default()
    };
    let told = Story::new(
        "on: push
jobs:
  a:
    runs-on: ubuntu-latest
    outputs: {t: '${{ steps.s.outputs.t }}', n: '${{ steps.s.outputs.n }}'}
    steps: [{id: s, run: 'echo t=s3cr3t-value >> $GITHUB_OUTPUT; echo n=1 >> $GITHUB_OUTPUT'}]
  b:
    needs: a
    runs-on: ubuntu-latest
    steps: [{run: 'echo [${{ needs.a.outputs.t }}] [${{ needs.a.outputs.n }}]'}]
",
        &[],
    )
    .run_with(request)
    .await;
    assert_eq!(told.log("b"), ["[] [1]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_are_split_and_none_is_dropped() {
    let told = Story::new(&steps("- run: head -c 2500000 /dev/zero | tr '\\0' x; echo; echo end\n"), &[]).run().await;
    let log = told.log("job");
    assert_eq!(
        log.iter().map(String::len).collect::<Vec<_>>(),
        [MAX_LINE_BYTES, MAX_LINE_BYTES, 2_500_000 - 2 * MAX_LINE_BYTES, 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_is_too_large_is_not_the_steps_failure() {
    let told =
        Story::new(&steps("- run: head -c 1048577 /dev/zero | tr '\\0' x >> $GITHUB_STEP_SUMMARY\n"), &[]).run().await;
    assert_eq!(told.run().outcome.outcome, Outcome::Success);
    assert_eq!(
        told.log("job"),
        ["##[error]the step summary is not kept: the file has 1048577 bytes; at most 1048576 are read"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_have_a_limit() {
    let told =
        Story::new(&steps("- run: (printf v=; head -c 1048577 /dev/zero | tr '\\0' x; echo) >> $GITHUB_OUTPUT\n"), &[])
            .run()
            .await;
    assert_eq!(told.run().outcome.outcome, Outcome::Failure);
    assert!(told.log("job")[0].contains("outputs have 1048578 bytes; at most 1048576"), "{:?}", told.log("job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_log_can_be_followed_while_it_grows() {
    let story = Story::new(
        &steps("- run: 'echo one; while [ ! -e $GITHUB_WORKSPACE/../go ]; do sleep 0.01; done; echo two'\n"),
        &[],
    );
    let pipeline = story.pipeline();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let listener = std::sync::Arc::new(move |progress| {
        let _ = tell.send(progress);
    });
    let running = {
        let pipeline = pipeline.clone();
        tokio::spawn(async move {
            let cancel = tokio_util::sync::CancellationToken::new();
            pipeline.run(&RunRequest::default(), Some(listener), cancel).await.unwrap()
        })
    };
    let run = loop {
        if let lem_pipeline::service::Progress::Line { run, .. } = told.recv().await.unwrap() {
            break run;
        }
    };
    let mut follower = pipeline.logs().follow(run.as_str(), "job", 0).unwrap();
    let first = follower.next().await.unwrap().unwrap();
    assert_eq!((first[0].number, first[0].text.as_str()), (0, "one"));
    let directory = story.data().join("work").join(run.as_str()).join("1");
    std::fs::write(directory.join("go"), "").unwrap();
    let second = follower.next().await.unwrap().unwrap();
    assert_eq!((second[0].number, second[0].text.as_str()), (1, "two"));
    assert_eq!(follower.next().await.unwrap(), None);
    assert!(running.await.unwrap().is_success());
}
