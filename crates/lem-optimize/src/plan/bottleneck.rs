//! Where a pipeline loses its time: the critical path of a run, its slowest steps, and how both changed over the runs
//! before it. Folded from facts; nothing is asked.

use lem_model::fact::{JobFinished, Outcome, PlannedJob, RunFinished, RunQueued, StepFinished};
use lem_model::{CommitSha, Event, RunId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Runs of one pipeline that are kept.
pub const MAX_HISTORY: usize = 50;
/// Runs before this one that a comparison needs.
pub const MIN_HISTORY: usize = 3;
/// Growth of a job's share of the critical path that is worth a recommendation, in percent.
pub const GROWTH_PERCENT: f64 = 20.0;
/// A job must take at least so much of the path to be worth anybody's time, in percent.
pub const MIN_SHARE_PERCENT: f64 = 10.0;
/// So much longer a job must take, or nobody would notice that it is mended, in milliseconds.
pub const MIN_GROWTH_MS: u64 = 1_000;
/// Steps named.
pub const MAX_STEPS: usize = 10;
/// Runs that are open at once.
const MAX_OPEN: usize = 1_000;

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowStep {
    /// Job.
    pub job: String,
    /// Name.
    pub name: String,
    /// From start to end.
    pub duration_ms: u64,
}

/// A job on the critical path or beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobTime {
    /// Key of the job.
    pub job: String,
    /// From start to end.
    pub duration_ms: u64,
    /// How much longer it may take before the run takes longer.
    pub slack_ms: u64,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// Its share of the critical path; 0 when it is not on it.
    pub share_percent: f64,
}

/// What a run spent its time on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Run.
    pub run: RunId,
    /// Pipeline.
    pub pipeline: String,
    /// Workflow file.
    pub file: String,
    /// Commit.
    pub sha: CommitSha,
    /// Length of the critical path.
    pub path_ms: u64,
    /// Jobs of the path, in order.
    pub path: Vec<String>,
    /// Every job that ran.
    pub jobs: Vec<JobTime>,
    /// Slowest first.
    pub slowest: Vec<SlowStep>,
    /// Jobs of the plan whose duration is not known: they did not run.
    pub unknown: Vec<String>,
}

/// A job whose share of the critical path grew.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// Job.
    pub job: String,
    /// Median share in the runs before.
    pub before_percent: f64,
    /// Share now.
    pub now_percent: f64,
    /// Median duration in the runs before.
    pub before_ms: u64,
    /// Duration now.
    pub now_ms: u64,
    /// Runs compared with.
    pub runs: usize,
}

#[derive(Clone, Debug, Default)]
struct Open {
    pipeline: String,
    file: String,
    sha: CommitSha,
    planned: Vec<PlannedJob>,
    durations: BTreeMap<String, u64>,
    steps: Vec<SlowStep>,
}

/// Runs as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct PipelineHistory {
    open: BTreeMap<RunId, Open>,
    finished: BTreeMap<String, VecDeque<Analysis>>,
}

impl PipelineHistory {
    /// Takes a fact; the analysis of a run is there when it has ended well.
    pub fn apply(&mut self, event: &Event) -> Option<&Analysis> {
        if let Some(queued) = event.read::<RunQueued>() {
            if self.open.len() >= MAX_OPEN {
                self.open.pop_first();
            }
            let open = Open {
                pipeline: queued.pipeline_name,
                file: queued.file,
                sha: queued.sha,
                planned: queued.jobs,
                ..Open::default()
            };
            self.open.insert(queued.run, open);
        } else if let Some(job) = event.read::<JobFinished>() {
            if let Some(open) = self.open.get_mut(&job.run) {
                open.durations.insert(job.job, job.duration_ms);
            }
        } else if let Some(step) = event.read::<StepFinished>() {
            if let Some(open) = self.open.get_mut(&step.run).filter(|_| !step.skipped) {
                open.steps.push(SlowStep { job: step.job, name: step.name, duration_ms: step.duration_ms });
                open.steps.sort_by_key(|s| std::cmp::Reverse(s.duration_ms));
                open.steps.truncate(MAX_STEPS);
            }
        } else if let Some(finished) = event.read::<RunFinished>() {
            let open = self.open.remove(&finished.run)?;
            // A failed run stops early: its path says nothing about how long the work takes.
            if finished.outcome != Outcome::Success {
                return None;
            }
            let analysis = analyse(finished.run, open);
            let key = format!("{}#{}", analysis.file, analysis.pipeline);
            let runs = self.finished.entry(key).or_default();
            runs.push_back(analysis);
            if runs.len() > MAX_HISTORY {
                runs.pop_front();
            }
            return runs.back();
        }
        None
    }

    /// The latest analysis of every pipeline.
    pub fn latest(&self) -> impl Iterator<Item = &Analysis> {
        self.finished.values().filter_map(VecDeque::back)
    }

    /// Jobs of the latest run whose share of the critical path grew over the runs before it.
    pub fn grown(&self, latest: &Analysis) -> Vec<Growth> {
        let key = format!("{}#{}", latest.file, latest.pipeline);
        let Some(runs) = self.finished.get(&key) else { return vec![] };
        let earlier: Vec<&Analysis> = runs.iter().filter(|a| a.run != latest.run).collect();
        if earlier.len() < MIN_HISTORY {
            return vec![];
        }
        let growth = |now: &JobTime| {
            let past: Vec<&JobTime> = earlier.iter().filter_map(|a| a.jobs.iter().find(|j| j.job == now.job)).collect();
            if past.len() < MIN_HISTORY {
                return None;
            }
            let before_percent = median(past.iter().map(|j| j.share_percent).collect());
            let before_ms = median(past.iter().map(|j| j.duration_ms as f64).collect()) as u64;
            // A larger share of a shorter path is no loss.
            let grew = now.share_percent >= before_percent * (1.0 + GROWTH_PERCENT / 100.0)
                && now.share_percent >= MIN_SHARE_PERCENT
                && now.duration_ms >= before_ms + MIN_GROWTH_MS;
            grew.then(|| Growth {
                job: now.job.clone(),
                before_percent,
                now_percent: now.share_percent,
                before_ms,
                now_ms: now.duration_ms,
                runs: past.len(),
            })
        };
        latest.jobs.iter().filter_map(growth).collect()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Longest path over what each job needs.
fn analyse(run: RunId, open: Open) -> Analysis {
    let needs: BTreeMap<&str, Vec<&str>> = open
        .planned
        .iter()
        .filter(|j| open.durations.contains_key(&j.job))
        .map(|j| {
            let known = j.needs.iter().map(String::as_str).filter(|n| open.durations.contains_key(*n));
            (j.job.as_str(), known.collect())
        })
        .collect();
    let order = ordered(&needs);
    let took = |job: &str| open.durations.get(job).copied().unwrap_or(0);
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    for job in &order {
        let last = needs[job].iter().filter_map(|n| Some((*ends.get(n)?, *n))).max();
        ends.insert(job, last.map_or(0, |(end, _)| end) + took(job));
        if let Some((_, previous)) = last {
            before.insert(job, previous);
        }
    }
    let path_ms = ends.values().copied().max().unwrap_or(0);
    let mut at = order.iter().copied().find(|job| ends[job] == path_ms);
    let mut path = vec![];
    while let Some(job) = at {
        path.push(job.to_owned());
        at = before.get(job).copied();
    }
    path.reverse();
    let latest = latest_ends(&order, &needs, &open.durations, path_ms);
    let on_path: BTreeSet<&String> = path.iter().collect();
    let jobs = order
        .iter()
        .map(|job| {
            let critical = on_path.contains(&(*job).to_owned());
            let share = took(job) as f64 / path_ms.max(1) as f64 * 100.0;
            JobTime {
                job: (*job).to_owned(),
                duration_ms: took(job),
                slack_ms: latest[job] - ends[job],
                critical,
                share_percent: if critical { share } else { 0.0 },
            }
        })
        .collect();
    let unknown = open.planned.iter().filter(|j| !open.durations.contains_key(&j.job)).map(|j| j.job.clone()).collect();
    Analysis {
        run,
        pipeline: open.pipeline.clone(),
        file: open.file.clone(),
        sha: open.sha.clone(),
        path_ms,
        path,
        jobs,
        slowest: open.steps,
        unknown,
    }
}

/// Jobs after everything they need. A cycle cannot be planned; what is in one anyway comes last.
fn ordered<'a>(needs: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<&'a str> {
    let mut order: Vec<&str> = vec![];
    let mut waiting: Vec<&str> = needs.keys().copied().collect();
    while !waiting.is_empty() {
        let (ready, rest): (Vec<&str>, Vec<&str>) =
            waiting.iter().partition(|job| needs[*job].iter().all(|n| order.contains(n)));
        if ready.is_empty() {
            order.extend(rest);
            break;
        }
        order.extend(ready);
        waiting = rest;
    }
    order
}

/// When each job must have ended for the run not to take longer.
fn latest_ends<'a>(
    order: &[&'a str],
    needs: &BTreeMap<&'a str, Vec<&'a str>>,
    durations: &BTreeMap<String, u64>,
    path_ms: u64,
) -> BTreeMap<&'a str, u64> {
    let mut latest: BTreeMap<&str, u64> = order.iter().map(|job| (*job, path_ms)).collect();
    for job in order.iter().rev() {
        let start = latest[job].saturating_sub(durations.get(*job).copied().unwrap_or(0));
        for need in &needs[job] {
            let end = latest.entry(need).or_insert(path_ms);
            *end = (*end).min(start);
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(jobs: &[(&str, &[&str], u64)]) -> Open {
        let planned = |(job, needs, _): &(&str, &[&str], u64)| PlannedJob {
            job: (*job).into(),
            name: (*job).into(),
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        };
        Open {
            pipeline: "ci".into(),
            planned: jobs.iter().map(planned).collect(),
            durations: jobs.iter().filter(|j| j.2 > 0).map(|(job, _, ms)| ((*job).to_owned(), *ms)).collect(),
            ..Open::default()
        }
    }

    #[test]
    fn the_longest_chain_of_needs_is_the_path() {
        let jobs: &[(&str, &[&str], u64)] = &[
            ("build", &[], 60),
            ("lint", &[], 10),
            ("test", &["build"], 120),
            ("docs", &["build"], 20),
            ("ship", &["test", "docs", "lint"], 20),
            ("never", &["ship"], 0),
        ];
        let found = analyse("r".into(), open(jobs));
        assert_eq!((found.path_ms, found.path.join(" > ")), (200, "build > test > ship".to_owned()));
        let slack =
            |job: &str| found.jobs.iter().find(|j| j.job == job).map(|j| (j.slack_ms, j.share_percent.round() as u64));
        assert_eq!(slack("lint"), Some((170, 0)));
        assert_eq!(slack("docs"), Some((100, 0)));
        assert_eq!(slack("test"), Some((0, 60)));
        assert_eq!(found.unknown, ["never"]);
    }

    #[test]
    fn growth_needs_history_and_a_longer_job() {
        let run =
            |name: &str, test: u64| analyse(name.into(), open(&[("build", &[], 10_000), ("test", &["build"], test)]));
        let mut history = PipelineHistory::default();
        let runs: VecDeque<Analysis> = [run("1", 10_000), run("2", 10_000), run("3", 10_000), run("4", 30_000)].into();
        history.finished.insert("#ci".into(), runs);
        let found = history.grown(&run("4", 30_000));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].job.as_str(), found[0].before_percent, found[0].now_percent, found[0].runs),
            ("test", 50.0, 75.0, 3)
        );
        assert!(history.grown(&run("5", 10_500)).is_empty(), "5 % is noise");
        let quick =
            |name: &str, test: u64| analyse(name.into(), open(&[("build", &[], 100), ("test", &["build"], test)]));
        let mut history = PipelineHistory::default();
        history
            .finished
            .insert("#ci".into(), [quick("1", 100), quick("2", 100), quick("3", 100), quick("4", 300)].into());
        assert!(history.grown(&quick("4", 300)).is_empty(), "a fifth of a second is nobody's time");
        let mut short = PipelineHistory::default();
        short.finished.insert("#ci".into(), [run("1", 10_000), run("2", 30_000)].into());
        assert!(short.grown(&run("2", 30_000)).is_empty(), "one run before is no history");
    }
}
