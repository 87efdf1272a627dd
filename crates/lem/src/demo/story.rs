//! The story, one function per chapter: what is done to the shop, and what the loop must have made of it before the next
//! chapter begins.

use super::outer::{self, Outer};
use super::tell::Teller;
use super::{Stage, load};
use anyhow::Result;
use lem_feedback::LoopState;
use lem_feedback::state::{Release, Standing};
use lem_model::CommitSha;
use lem_model::fact::RolloutOutcome;
use std::time::Duration;

/// Traffic before the first change, so that the judge knows what is normal.
const BASELINE: Duration = Duration::from_secs(12);
/// Traffic between two chapters, so that one symptom does not run into the next.
const BREATHER: Duration = Duration::from_secs(4);

/// What the story leaves for the summary.
pub(super) struct Told {
    pub(super) outer: Outer,
    /// Files with the teams' reports.
    pub(super) reports: Vec<String>,
}

/// Tells it all; `rate` is in requests a second.
pub(super) async fn tell(stage: &Stage, teller: &Teller, rate: u32) -> Result<Told> {
    let outer = first_release(stage, teller, rate).await?;
    fails_under_load(stage, teller).await?;
    fails_with_all_the_traffic(stage, teller).await?;
    fix(stage, teller).await?;
    reports(stage).await?;
    teller.chapter("5  a report for every team");
    let reports = outer::team_reports(stage, &stage.the_loop.root().join(".lem/reports/teams")).await?;
    reports.iter().filter(|path| path.ends_with(".html")).for_each(|path| teller.say(path));
    Ok(Told { outer, reports })
}

/// The first release, and while traffic settles what the shop runs on.
async fn first_release(stage: &Stage, teller: &Teller, rate: u32) -> Result<Outer> {
    teller.chapter("1  the shop goes out for the first time");
    stage.until("the first release", |s| s.releases.values().find_map(|r| r.promoted_at).map(drop)).await?;
    tokio::spawn(load::generate(stage.router.clone(), rate, stage.counts.clone(), stage.cancel_load.clone()));
    teller.say(&format!("{rate} requests a second arrive at {}", stage.router));
    let settled = tokio::time::sleep(BASELINE);
    let outer = outer::tell(stage, teller).await?;
    settled.await;
    Ok(outer)
}

async fn fails_under_load(stage: &Stage, teller: &Teller) -> Result<()> {
    teller.chapter("2  a change that passes its tests and fails under load");
    let sha = CommitSha::from(stage.repository.change("2-one-connection")?);
    expect(stage, &sha, RolloutOutcome::RolledBack).await?;
    stage.until("an attribution of the failed canary", |s| blamed(s, &sha)).await?;
    tokio::time::sleep(BREATHER).await;
    Ok(())
}

async fn fails_with_all_the_traffic(stage: &Stage, teller: &Teller) -> Result<()> {
    teller.chapter("3  a change that only fails with all the traffic");
    let sha = CommitSha::from(stage.repository.change("3-limit-lookups")?);
    expect(stage, &sha, RolloutOutcome::Promoted).await?;
    stage.until("the automatic rollback", |s| release(s, &sha)?.removed.as_ref().map(drop)).await?;
    stage.until("the confirmation of the cause", |s| confirmed(s, &sha)).await?;
    stage.until("the end of the incidents", |s| s.incidents.values().all(|i| i.resolved.is_some()).then_some(())).await
}

async fn fix(stage: &Stage, teller: &Teller) -> Result<()> {
    teller.chapter("4  the fix");
    let sha = CommitSha::from(stage.repository.change("4-fix-limit")?);
    expect(stage, &sha, RolloutOutcome::Promoted).await
}

/// Every incident is settled and written down.
async fn reports(stage: &Stage) -> Result<()> {
    let written = |s: &LoopState| {
        let settled = |i: &lem_feedback::state::Incident| {
            i.attribution.as_ref().is_some_and(|a| a.standing != Standing::Proposed)
                && stage.the_loop.report_path(&i.detected.incident).exists()
        };
        s.incidents.values().all(settled).then_some(())
    };
    stage.until("the reports", written).await
}

async fn expect(stage: &Stage, sha: &CommitSha, wanted: RolloutOutcome) -> Result<()> {
    let outcome = stage.until(&format!("the end of the rollout of {}", sha.short()), |s| ended(s, sha)).await?;
    anyhow::ensure!(outcome == wanted, "the rollout of {} ended {outcome:?}, not {wanted:?}", sha.short());
    Ok(())
}

fn release<'a>(state: &'a LoopState, sha: &CommitSha) -> Option<&'a Release> {
    state.releases.values().filter(|r| r.plan.sha == *sha).max_by_key(|r| r.seq)
}

fn ended(state: &LoopState, sha: &CommitSha) -> Option<RolloutOutcome> {
    release(state, sha)?.finished.as_ref().map(|(_, f)| f.outcome)
}

/// An incident whose first cause is this commit.
fn blamed(state: &LoopState, sha: &CommitSha) -> Option<()> {
    let attributions = state.incidents.values().filter_map(|i| i.attribution.as_ref());
    attributions.filter_map(|a| a.named()).any(|c| c.sha.as_ref() == Some(sha)).then_some(())
}

/// An incident whose cause was proved to be this commit.
fn confirmed(state: &LoopState, sha: &CommitSha) -> Option<()> {
    let attributions = state.incidents.values().filter_map(|i| i.attribution.as_ref());
    let mut proved = attributions.filter(|a| a.standing == Standing::Confirmed).filter_map(|a| a.named());
    proved.any(|c| c.sha.as_ref() == Some(sha)).then_some(())
}
