//! Jobs, steps, conditions, outputs.

use crate::story::Story;
use lem_model::fact::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_and_is_logged() {
    let story = Story::new(
        "on: push\njobs:\n  hello:\n    runs-on: ubuntu-latest\n    steps:\n    - run: echo hello $((40+2))\n",
        &[],
    );
    let told = story.run().await;
    assert_eq!(told.run().outcome.outcome, Outcome::Success, "{:?}", told.seen);
    assert_eq!(told.log("hello"), ["hello 42"]);
    assert_eq!(told.jobs(), ["hello=Success"]);
}
