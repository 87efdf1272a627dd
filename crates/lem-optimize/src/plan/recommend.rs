//! Advice as facts: what to do, the evidence, the risk, what it costs, and a patch to the user's own file.
//!
//! The same advice about the same thing has the same id, so that saying it twice is saying it once.

use super::bottleneck::{Analysis, Growth};
use lem_model::fact::RecommendationCreated;
use lem_model::{Digest, EnvironmentName};

pub mod capacity;
pub mod sizing;

/// Digits of an id.
const ID_DIGITS: usize = 12;

/// Id of advice: what it is about and what it says to do.
pub fn id(kind: &str, target: &str, environment: Option<&EnvironmentName>, what: &str) -> String {
    let environment = environment.map_or("", EnvironmentName::as_str);
    let digest = Digest::of(format!("{kind}\n{target}\n{environment}\n{what}").as_bytes());
    format!("rec-{}", &digest.hex()[..ID_DIGITS])
}

/// A job that takes more of the critical path than it used to.
pub fn pipeline(analysis: &Analysis, growth: &Growth) -> RecommendationCreated {
    let target = format!("{}/{}", analysis.file, growth.job);
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    let sentence = format!(
        "job {} takes {:.0} % of the critical path of {} instead of {:.0} %: {} instead of {}",
        growth.job,
        growth.now_percent,
        analysis.pipeline,
        growth.before_percent,
        seconds(growth.now_ms),
        seconds(growth.before_ms)
    );
    let mut evidence = vec![
        format!("run {}: critical path {} over {}", analysis.run, seconds(analysis.path_ms), analysis.path.join(" > ")),
        format!("median of the {} runs before it", growth.runs),
        format!("at most {} are saved by bringing it back", seconds(growth.now_ms.saturating_sub(growth.before_ms))),
    ];
    let steps = analysis.slowest.iter().filter(|s| s.job == growth.job).take(3);
    evidence.extend(steps.map(|s| format!("step {:?} took {}", s.name, seconds(s.duration_ms))));
    RecommendationCreated {
        recommendation: id("pipeline", &target, None, &format!("{:.0}", growth.before_percent)),
        kind: "pipeline".into(),
        target,
        environment: None,
        service: None,
        sentence,
        evidence,
        monthly_delta: None,
        patch: None,
        risk: "none: nothing is changed by itself".into(),
        cause: format!("run {} of {}", analysis.run, analysis.sha.short()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_advice_is_the_same_recommendation() {
        let production = EnvironmentName::from("production");
        let one = id("capacity", "shop", Some(&production), "m5.xlarge");
        assert_eq!(one, id("capacity", "shop", Some(&production), "m5.xlarge"));
        assert_ne!(one, id("capacity", "shop", None, "m5.xlarge"));
        assert_eq!(one.len(), "rec-".len() + ID_DIGITS);
    }
}
