//! Questions to others are asked beside the loop, so that a slow answer never holds up a rollback.

use super::Engine;
use super::counting::{Closed, history};
use crate::evidence::{self, History};
use crate::plan::{AskAgain, Deed, Interval, MeasuredNow};
use jiff::{SignedDuration, Timestamp};
use lem_engine_judge::condition::{Measured, Phase};
use lem_engine_judge::dispersion::Past;
use lem_engine_judge::sequential::Signal;
use lem_model::port::{GateAnswer, HealthSource, MetricValue, PolicyGate, Scope, SourceError, Window};
use lem_model::{DeploymentId, Digest, Seq, Version};
use std::sync::Arc;
use std::time::Duration;

/// Time a question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Time until a gate that did not answer is asked again.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Time the count of error lines may hold up the judge's interval.
const LINES_TIMEOUT: Duration = Duration::from_millis(500);
/// Intervals of the past whose error lines are counted.
const LINES_PAST: usize = 60;
/// Longest answer that is recorded.
const VALUE_MAX: usize = 500;

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    Metric {
        scope: Scope,
        deployment: DeploymentId,
        run: String,
        metric: String,
        query: String,
        result: Result<Measured, String>,
    },
    History {
        scope: Scope,
        history: History,
    },
    Gate {
        scope: Scope,
        digest: Digest,
        answer: Result<GateAnswer, AskAgain>,
    },
}

/// Key of a question about a metric.
pub(super) fn metric_key(run: &str, metric: &str) -> String {
    format!("metric {run}/{metric}")
}

impl Engine {
    /// Asks, unless the same question is open. True when the answer is there already.
    pub(super) fn ask(&mut self, scope: &Scope, deed: Deed) -> bool {
        let key = match &deed {
            Deed::Measure { run, metric, .. } => metric_key(run, metric),
            Deed::ReadHistory { .. } => "history".to_owned(),
            Deed::AskGate(digest) => format!("gate {digest}"),
            _ => return false,
        };
        let place = self.places.get_mut(scope).expect("every place in the order has a place");
        if !place.asked.insert(key) {
            return false;
        }
        let (scope, now, ports) = (scope.clone(), self.options.clock.now(), self.options.ports.clone());
        let past = place.counting.past();
        match deed {
            Deed::AskGate(digest) => {
                let Some(gate) = ports.gate else {
                    // Nobody is asked: allowed, and the plan is made.
                    place.world.gate.insert(digest, GateAnswer::Allow);
                    return true;
                };
                let heard = self.next;
                self.answer(async move {
                    let answer = gate_answer(gate.as_ref(), &scope, &digest, now, heard).await;
                    Answer::Gate { scope, digest, answer }
                });
            }
            Deed::ReadHistory { stable } => {
                let Some(health) = ports.health else {
                    place.world.history = Some(history(&past, vec![]));
                    return true;
                };
                self.answer(async move {
                    let recent = &past[past.len().saturating_sub(LINES_PAST)..];
                    let lines = past_lines(health.as_ref(), &scope, &stable, recent);
                    // Without an answer their past is unknown, and that is cautious enough.
                    let logs = tokio::time::timeout(TIMEOUT, lines).await.unwrap_or_default();
                    Answer::History { scope, history: history(&past, logs) }
                });
            }
            Deed::Measure { deployment, run, metric, query } => {
                let metrics = ports.metrics;
                self.answer(async move {
                    let result = match metrics {
                        None => Err("no metrics source is connected".to_owned()),
                        Some(source) => match tokio::time::timeout(TIMEOUT, source.query(&query, now)).await {
                            Ok(answer) => answer.map(flat).map_err(|error| error.to_string()),
                            Err(_) => Err("no answer in time".to_owned()),
                        },
                    };
                    Answer::Metric { scope, deployment, run, metric, query, result }
                });
            }
            _ => {}
        }
        false
    }

    fn answer(&self, question: impl Future<Output = Answer> + Send + 'static) {
        let answers = self.answers.0.clone();
        tokio::spawn(async move {
            // Nobody listens any more when the engine has ended.
            let _ = answers.send(question.await).await;
        });
    }

    pub(super) fn take(&mut self, answer: Answer) {
        match answer {
            Answer::History { scope, history } => {
                if let Some(place) = self.places.get_mut(&scope) {
                    place.world.history = Some(history);
                }
            }
            Answer::Gate { scope, digest, answer } => {
                if let Some(place) = self.places.get_mut(&scope) {
                    place.asked.remove(&format!("gate {digest}"));
                    match answer {
                        Ok(answer) => {
                            place.world.gate_waits.remove(&digest);
                            place.world.gate.insert(digest, answer);
                        }
                        Err(again) => {
                            place.world.gate_waits.insert(digest, again);
                        }
                    }
                }
            }
            Answer::Metric { scope, deployment, run, metric, query, result } => {
                let measured = self.assess(&scope, deployment, run, metric, query, result);
                if let (Some(place), Some(measured)) = (self.places.get_mut(&scope), measured) {
                    place.world.measured.push(measured);
                }
            }
        }
    }

    /// The conditions on a metric, looked up in the strategy again.
    fn assess(
        &self,
        scope: &Scope,
        deployment: DeploymentId,
        run: String,
        metric: String,
        query: String,
        result: Result<Measured, String>,
    ) -> Option<MeasuredNow> {
        let (_, service, ..) = self.order.iter().find(|(at, ..)| at == scope)?;
        let strategy = &self.options.config.services[*service].strategy;
        let step = run.strip_prefix("step ").and_then(|n| n.parse::<usize>().ok());
        let analysis = match step {
            Some(n) => match strategy.steps.get(n.checked_sub(1)?)? {
                crate::model::Step::Analysis(analysis) => analysis,
                _ => return None,
            },
            None => &strategy.background.as_ref()?.analysis,
        };
        let conditions = &analysis.metrics.iter().find(|m| m.limits.name == metric)?.conditions;
        let (phase, why, value) = match &result {
            Err(why) => (Phase::Error, Some(why.clone()), String::new()),
            Ok(measured) => {
                let (phase, why) = conditions.assess(measured);
                (phase, why, text(measured))
            }
        };
        Some(MeasuredNow { deployment, run, metric, query, value, phase, why })
    }
}

/// The gate's answer, or when to ask again.
async fn gate_answer(
    gate: &dyn PolicyGate,
    scope: &Scope,
    digest: &Digest,
    now: Timestamp,
    heard: Seq,
) -> Result<GateAnswer, AskAgain> {
    let asked = async {
        Ok::<_, SourceError>(match gate.waits_for(scope, digest).await? {
            Some(wait) => Err(AskAgain { why: wait.why, at: wait.until, heard }),
            None => Ok(gate.may_deploy(scope, digest).await?),
        })
    };
    let silent = |why: String| AskAgain {
        why: format!("the policy gate does not answer: {why}"),
        at: now.checked_add(ASK_AGAIN).unwrap_or(now),
        // Only time helps.
        heard: Seq::MAX,
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(silent(error.to_string())),
        Err(_) => Err(silent("no answer in time".to_owned())),
    }
}

async fn past_lines(
    health: &dyn HealthSource,
    scope: &Scope,
    stable: &Version,
    past: &[super::counting::PastInterval],
) -> Vec<Past> {
    let mut found = vec![];
    for interval in past {
        let window = Window { from: interval.from, to: interval.to };
        if let Ok(bad) = health.error_lines(scope, stable, window).await {
            found.push(Past { requests: interval.tally.requests, bad });
        }
    }
    found
}

/// A closed interval with the error lines of both versions.
pub(super) async fn with_lines(
    closed: Closed,
    signals: &[Signal],
    scope: &Scope,
    health: Option<&Arc<dyn HealthSource>>,
) -> Interval {
    let window = Window { from: closed.from, to: closed.to };
    let wanted = signals.iter().any(|s| s.name == evidence::LOGS);
    let lines = match health.filter(|_| wanted) {
        None => Ok(None),
        Some(health) => {
            let both = async {
                let canary = health.error_lines(scope, &closed.canary.0, window).await?;
                let stable = health.error_lines(scope, &closed.stable.0, window).await?;
                Ok::<_, lem_model::port::SourceError>((canary, stable))
            };
            match tokio::time::timeout(LINES_TIMEOUT, both).await {
                Ok(Ok(lines)) => Ok(Some(lines)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no answer in time".to_owned()),
            }
        }
    };
    Interval {
        deployment: closed.deployment,
        from: closed.from,
        to: closed.to,
        counts: evidence::counts(signals, closed.canary.1, closed.stable.1, &lines),
    }
}

/// As Argo Rollouts hands a Prometheus answer to a condition: a scalar as a number, the rest as one flat list.
fn flat(value: MetricValue) -> Measured {
    match value {
        MetricValue::Scalar(number) => Measured::Number(number),
        MetricValue::Vector(samples) => Measured::Numbers(samples.into_iter().map(|(_, number)| number).collect()),
        MetricValue::Matrix(series) => Measured::Numbers(
            series.into_iter().flat_map(|s| s.points).map(|(_, number): (Timestamp, f64)| number).collect(),
        ),
    }
}

fn text(measured: &Measured) -> String {
    let mut text = match measured {
        Measured::Number(number) => number.to_string(),
        Measured::Numbers(numbers) => format!("{numbers:?}"),
        Measured::Text(text) => text.clone(),
        Measured::Bool(truth) => truth.to_string(),
        Measured::Nil => "nothing".to_owned(),
    };
    if let Some((cut, _)) = text.char_indices().nth(VALUE_MAX) {
        text.truncate(cut);
    }
    text
}
