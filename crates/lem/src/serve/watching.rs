//! Rules, alerts and targets, as Prometheus' clients read them.

use jiff::Timestamp;
use lem_engine_promql::number::format_duration;
use lem_observe::ObserveService;
use lem_observe::plan::alert::State;
use lem_observe::rules::{AlertReport, GroupReport, RuleReport};
use lem_observe::scrape::TargetHealth;
use lem_server::dto::Time;
use lem_server::port::{ActiveAlert, Metadata, Rule, RuleGroup, Target, Watching};
use std::collections::BTreeMap;

/// What the observing stage watches.
pub(super) struct Watched(pub(super) ObserveService);

fn time(ms: i64) -> Time {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).into()
}

fn state(state: State) -> &'static str {
    match state {
        State::Inactive => "inactive",
        State::Pending => "pending",
        State::Firing => "firing",
    }
}

/// A value as the reference writes it in alerts: `1e+00`.
fn scientific(value: f64) -> String {
    if !value.is_finite() {
        return lem_engine_promql::number::format_sample(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn alert(report: AlertReport) -> ActiveAlert {
    ActiveAlert {
        labels: report.labels,
        annotations: report.annotations,
        state: state(report.state).to_owned(),
        active_at: time(report.active_at_ms),
        value: scientific(report.value),
    }
}

fn rule(report: RuleReport) -> Rule {
    let last_evaluation = time(report.last_evaluation_ms);
    let last_error = report.last_error.filter(|why| !why.is_empty());
    match report.state {
        Some(now) => Rule::Alerting {
            state: state(now).to_owned(),
            name: report.name,
            query: report.query,
            duration: report.duration.unwrap_or_default(),
            keep_firing_for: report.keep_firing_for.unwrap_or_default(),
            labels: report.labels,
            annotations: report.annotations,
            alerts: report.alerts.into_iter().map(alert).collect(),
            health: report.health,
            last_error,
            evaluation_time: report.evaluation_time,
            last_evaluation,
        },
        None => Rule::Recording {
            name: report.name,
            query: report.query,
            labels: report.labels,
            health: report.health,
            last_error,
            evaluation_time: report.evaluation_time,
            last_evaluation,
        },
    }
}

fn group(report: GroupReport) -> RuleGroup {
    RuleGroup {
        name: report.name,
        file: report.file,
        interval: report.interval,
        limit: report.limit as u64,
        rules: report.rules.into_iter().map(rule).collect(),
        evaluation_time: report.evaluation_time,
        last_evaluation: time(report.last_evaluation_ms),
    }
}

/// The stage keeps no labels from before relabelling, so none are shown.
fn target(health: TargetHealth) -> Target {
    Target {
        discovered_labels: BTreeMap::new(),
        labels: health.labels,
        scrape_pool: health.scrape_pool,
        global_url: health.scrape_url.clone(),
        scrape_url: health.scrape_url,
        last_error: health.last_error,
        last_scrape: (health.last_scrape_ms > 0).then(|| time(health.last_scrape_ms)),
        last_scrape_duration: health.last_scrape_duration_s,
        health: health.health,
        scrape_interval: format_duration(health.interval_ms),
        scrape_timeout: format_duration(health.timeout_ms),
    }
}

impl Watching for Watched {
    fn rules(&self) -> Vec<RuleGroup> {
        self.0.rules().into_iter().map(group).collect()
    }

    fn targets(&self) -> Vec<Target> {
        self.0.targets().into_iter().map(target).collect()
    }

    fn metadata(&self) -> BTreeMap<String, Vec<Metadata>> {
        let one = |(name, metric): (String, _)| {
            let lem_engine_metrics::text::Metadata { kind, help, unit, .. } = metric;
            (name, vec![Metadata { kind: kind.name().to_owned(), help, unit }])
        };
        self.0.metadata().into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_alerts() {
        for (value, text) in
            [(0.0, "0e+00"), (1.0, "1e+00"), (0.052, "5.2e-02"), (1234.5, "1.2345e+03"), (f64::NAN, "NaN")]
        {
            assert_eq!(scientific(value), text);
        }
    }
}
