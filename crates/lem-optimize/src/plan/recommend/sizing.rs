//! Right-sizing as advice: which containers there are, which series say what they use, and what follows.

use super::id;
use crate::engine::PriceBook;
use crate::patch::{self, NoPatch};
use crate::plan::quantity::{cores, gib};
use crate::plan::rightsize::{Advice, Amounts, cpu_text, memory_text, vpa};
use crate::price::book::Book;
use crate::price::{PriceAnswer, PriceKey, PriceQuery};
use jiff::civil::Date;
use lem_model::fact::RecommendationCreated;
use lem_model::money::{MONTH_HOURS, Money};
use lem_model::port::Series;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use lem_model::{EnvironmentName, ServiceName};
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

/// Change below this share of the request is not worth a change of a file.
pub const MIN_CHANGE_PERCENT: i64 = 10;

/// One container of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Address of its workload.
    pub workload: String,
    /// `Deployment`.
    pub kind: String,
    /// Name of the workload.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the container.
    pub container: String,
    /// Containers of its pod.
    pub siblings: usize,
    /// Replicas; unknown when they are not written as a number.
    pub replicas: Option<i64>,
    /// What is asked for now, as written.
    pub requests: (Option<String>, Option<String>),
    /// Limits now, as written.
    pub limits: (Option<String>, Option<String>),
    /// File it is written in.
    pub file: String,
}

impl Container {
    /// PromQL for its CPU use in cores.
    pub fn cpu_query(&self) -> String {
        format!("sum(rate(container_cpu_usage_seconds_total{{{}}}[5m]))", self.selector())
    }

    /// PromQL for its memory in bytes: the largest of its replicas.
    pub fn memory_query(&self) -> String {
        format!("max(container_memory_working_set_bytes{{{}}})", self.selector())
    }

    fn selector(&self) -> String {
        format!("namespace=\"{}\",pod=~\"{}-.*\",container=\"{}\"", self.namespace, self.name, self.container)
    }

    fn amounts(pair: &(Option<String>, Option<String>)) -> (Option<i64>, Option<i64>) {
        let cpu = pair.0.as_deref().and_then(cores).and_then(|c| (c * Decimal::ONE_THOUSAND).to_i64());
        let memory = pair.1.as_deref().and_then(gib).and_then(|g| (g * Decimal::from(1_u64 << 30)).to_i64());
        (cpu, memory)
    }
}

/// PromQL for the processes of one of our own services: one process is one container.
pub fn process_queries(service: &ServiceName, environment: &EnvironmentName) -> (String, String) {
    let own = format!("service=\"{service}\",environment=\"{environment}\"");
    (
        format!("max(rate(process_cpu_seconds_total{{{own}}}[5m]))"),
        format!("max(process_resident_memory_bytes{{{own}}})"),
    )
}

/// Containers of the workloads of a graph.
pub fn containers(graph: &ResourceGraph) -> Vec<Container> {
    let workloads = graph.resources.iter().filter(|r| r.language == Language::Kubernetes);
    workloads.flat_map(of_workload).collect()
}

fn of_workload(resource: &Resource) -> Vec<Container> {
    let Some(Attribute::List(list)) = resource.at("spec.template.spec.containers") else { return vec![] };
    let text = |a: &Attribute, path: &str| {
        let found = path.split('.').try_fold(a, |at, step| at.get(step))?;
        match found.revealed() {
            Attribute::String(text) => Some(text.clone()),
            Attribute::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let own = |path: &str| resource.at(path).and_then(Attribute::as_str).map(str::to_owned);
    let replicas = match resource.at("spec.replicas") {
        None => Some(1),
        Some(written) => written.as_f64().map(|n| n as i64),
    };
    let one = |container: &Attribute| {
        Some(Container {
            workload: resource.address.clone(),
            kind: resource.kind.rsplit('/').next()?.to_owned(),
            name: own("metadata.name")?,
            namespace: own("metadata.namespace").unwrap_or_else(|| "default".into()),
            container: text(container, "name")?,
            siblings: list.len(),
            replicas,
            requests: (text(container, "resources.requests.cpu"), text(container, "resources.requests.memory")),
            limits: (text(container, "resources.limits.cpu"), text(container, "resources.limits.memory")),
            file: resource.place.file.clone(),
        })
    };
    list.iter().filter_map(one).collect()
}

/// What the metrics say about a container.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Advice.
    pub advice: Advice,
    /// Strategy, by its name.
    pub strategy: &'a str,
    /// CPU use.
    pub cpu: &'a [Series],
    /// Memory use.
    pub memory: &'a [Series],
}

/// The recommendation, when it differs enough from what is written. `text` is the file the container is written in.
pub fn recommend(
    container: &Container,
    observed: &Observed<'_>,
    environment: Option<&EnvironmentName>,
    text: Option<&str>,
    book: &Book,
    on: Date,
) -> Option<RecommendationCreated> {
    let advice = &observed.advice;
    let (requests, limits) = (Container::amounts(&container.requests), Container::amounts(&container.limits));
    let changed = differs(requests.0, advice.target.cpu_milli) || differs(requests.1, advice.target.memory_bytes);
    if !changed {
        return None;
    }
    let target = (cpu_text(advice.target.cpu_milli), memory_text(advice.target.memory_bytes));
    let limit_cpu = vpa::limit(requests.0, limits.0, advice.target.cpu_milli).map(cpu_text);
    let limit_memory = vpa::limit(requests.1, limits.1, advice.target.memory_bytes).map(memory_text);
    let mut values: Vec<(&str, &str)> = vec![];
    for (path, written, value) in [
        ("resources.requests.cpu", &container.requests.0, Some(&target.0)),
        ("resources.requests.memory", &container.requests.1, Some(&target.1)),
        ("resources.limits.cpu", &container.limits.0, limit_cpu.as_ref()),
        ("resources.limits.memory", &container.limits.1, limit_memory.as_ref()),
    ] {
        if let (true, Some(value)) = (written.is_some(), value) {
            values.push((path, value));
        }
    }
    let patched = match (text, values.is_empty()) {
        (_, true) => Err(NoPatch::Missing { file: container.file.clone(), what: "requests of it".into() }),
        (None, _) => Err(NoPatch::Unreadable { file: container.file.clone(), why: "it is not there".into() }),
        (Some(text), false) => {
            let object = patch::yaml::Object { kind: &container.kind, name: &container.name };
            patch::yaml::container_resources(&container.file, text, &object, &container.container, &values)
        }
    };
    let shown = |written: &Option<String>| written.clone().unwrap_or_else(|| "nothing".into());
    let what = format!("{}/{}", container.workload, container.container);
    let mut evidence = advice.steps.clone();
    evidence.insert(0, format!("strategy {}", observed.strategy));
    evidence.push(format!(
        "bounds {} to {} and {} to {} from {} samples",
        cpu_text(advice.lower.cpu_milli),
        cpu_text(advice.upper.cpu_milli),
        memory_text(advice.lower.memory_bytes),
        memory_text(advice.upper.memory_bytes),
        advice.samples
    ));
    evidence.extend(observed.cpu.iter().chain(observed.memory).map(|s| s.query.clone()).filter(|q| !q.is_empty()));
    let patch = match (patched, text) {
        (Ok(new), Some(text)) => patch::diff(&container.file, text, &new),
        (Err(why), _) => {
            evidence.push(format!("no patch: {why}"));
            None
        }
        (Ok(_), None) => None,
    };
    let monthly_delta = delta(container, requests, &advice.target, book, on);
    if monthly_delta.is_none() {
        evidence.push("the change of the monthly cost is unknown".into());
    }
    Some(RecommendationCreated {
        recommendation: id("rightsize", &what, environment, &format!("{} {}", target.0, target.1)),
        kind: "rightsize".into(),
        target: what.clone(),
        environment: environment.cloned(),
        service: Some(container.name.as_str().into()),
        sentence: format!(
            "{what} should ask for {} instead of {} CPU and {} instead of {} memory",
            target.0,
            shown(&container.requests.0),
            target.1,
            shown(&container.requests.1)
        ),
        evidence,
        monthly_delta,
        patch,
        risk: risk(advice, observed),
        cause: "performance data".into(),
    })
}

fn differs(now: Option<i64>, target: i64) -> bool {
    now.is_none_or(|now| (target - now).abs() * 100 > now * MIN_CHANGE_PERCENT)
}

fn risk(advice: &Advice, observed: &Observed<'_>) -> String {
    let above = |series: &[Series], limit: f64| {
        series.iter().flat_map(|s| &s.points).filter(|(_, v)| v.is_finite() && *v > limit).count()
    };
    let cpu = above(observed.cpu, advice.target.cpu_milli as f64 / 1000.0);
    let memory = above(observed.memory, advice.target.memory_bytes as f64);
    format!(
        "{cpu} CPU and {memory} memory samples of the window were above the target; {} samples in all",
        advice.samples
    )
}

/// Δ × replicas × rate; unknown when a request, the replicas or a rate is not known.
fn delta(
    container: &Container,
    requests: (Option<i64>, Option<i64>),
    target: &Amounts,
    book: &Book,
    on: Date,
) -> Option<Money> {
    let rate = |sku: &str, unit: &str| {
        let key = PriceKey {
            provider: "kubernetes".into(),
            service: "default".into(),
            sku: sku.into(),
            region: "global".into(),
            unit: unit.into(),
        };
        match book.find(&PriceQuery { key, on, environment: None }) {
            PriceAnswer::Known(price) => Some(price),
            PriceAnswer::Unknown(_) => None,
        }
    };
    let (cpu, memory) = (rate("cpu", "vcpu-hour")?, rate("memory", "gib-hour")?);
    let cores = Decimal::from(target.cpu_milli - requests.0?) / Decimal::ONE_THOUSAND;
    let gib = Decimal::from_i64(target.memory_bytes - requests.1?)? / Decimal::from(1_u64 << 30);
    let hourly = (cores * cpu.amount + gib * memory.amount) * Decimal::from(container.replicas?);
    Some(Money { amount: hourly * Decimal::from(MONTH_HOURS), currency: cpu.currency })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const FILE: &str = "kind: Deployment\nmetadata: {name: shop}\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          resources:\n            requests: {cpu: \"2\", memory: 4Gi} # generous\n            limits: {memory: 8Gi}\n";

    fn container() -> Container {
        let some = |t: &str| Some(t.to_owned());
        Container {
            workload: "default/Deployment/shop".into(),
            kind: "Deployment".into(),
            name: "shop".into(),
            namespace: "default".into(),
            container: "web".into(),
            siblings: 1,
            replicas: Some(3),
            requests: (some("2"), some("4Gi")),
            limits: (None, some("8Gi")),
            file: "k8s.yml".into(),
        }
    }

    fn advice(cpu_milli: i64, memory_bytes: i64) -> Advice {
        let target = Amounts { cpu_milli, memory_bytes };
        Advice { lower: target, target, upper: target, samples: 9, steps: vec!["p90".into()] }
    }

    fn say(container: &Container, advice: Advice) -> Option<RecommendationCreated> {
        let observed = Observed { advice, strategy: "vpa", cpu: &[], memory: &[] };
        recommend(container, &observed, None, Some(FILE), &Book::embedded(), "2026-06-01".parse().unwrap())
    }

    #[test]
    fn a_container_that_asks_for_too_much_gets_a_patch_and_a_saving() {
        let found = say(&container(), advice(500, 1 << 30)).unwrap();
        assert_eq!(
            found.sentence,
            "default/Deployment/shop/web should ask for 500m instead of 2 CPU and 1Gi instead of 4Gi memory"
        );
        let patch = found.patch.unwrap();
        assert!(patch.contains("+            requests: {cpu: \"500m\", memory: 1Gi} # generous\n"), "{patch}");
        assert!(patch.contains("+            limits: {memory: 2Gi}\n"), "the limit keeps its ratio: {patch}");
        // (-1.5 x 0.031611 - 3 x 0.004237) x 3 x 730
        assert_eq!(found.monthly_delta.unwrap().to_string(), "-$131.68");
    }

    #[test]
    fn a_small_difference_is_no_advice_and_no_request_is_no_patch() {
        assert_eq!(say(&container(), advice(2100, 4 << 30)), None);
        let bare = Container { requests: (None, None), limits: (None, None), ..container() };
        let found = say(&bare, advice(500, 1 << 30)).unwrap();
        assert_eq!((found.patch, found.monthly_delta), (None, None));
        assert!(found.evidence.iter().any(|e| e.starts_with("no patch: ")), "{:?}", found.evidence);
    }
}
