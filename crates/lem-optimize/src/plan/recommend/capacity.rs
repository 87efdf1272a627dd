//! More capacity after an incident: the next size of what ran short, as a patch to the Terraform file or the manifest.

use super::id;
use crate::engine::embedded::Edition;
use crate::patch::{self, NoPatch};
use crate::plan::estimate::{Estimate, Pricing, Side};
use crate::plan::quantity::{cores, gib};
use crate::plan::rightsize::vpa::{OOM_BUMP_RATIO, OOM_MIN_BUMP};
use crate::plan::rightsize::{cpu_text, memory_text};
use lem_model::fact::{RecommendationCreated, RecommendationRequested};
use lem_model::money::Money;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use rust_decimal::prelude::ToPrimitive;

/// Reads a file of the repository by its path relative to the top; `None` when it is not there.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Option<String>;

/// By how much a disk grows.
const DISK_GROWTH: f64 = 1.5;
/// By how much CPU grows.
const CPU_GROWTH: f64 = 1.5;
/// Sizes of AWS classes, smallest first.
const SIZES: [&str; 13] = [
    "nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge",
    "24xlarge", "32xlarge",
];

/// What ran short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Memory.
    Memory,
    /// Processor.
    Cpu,
    /// Disk.
    Disk,
}

impl Shortage {
    /// What a request for advice is about; memory and disk by their names, else the processor.
    pub fn of(reason: &str) -> Self {
        let reason = reason.to_lowercase();
        if reason.contains("memory") || reason.contains("oom") {
            Self::Memory
        } else if reason.contains("disk") || reason.contains("volume") {
            Self::Disk
        } else {
            Self::Cpu
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
        }
    }
}

/// One value to change.
struct Change {
    what: String,
    from: String,
    to: String,
    /// The text of its file afterwards.
    patched: Result<String, NoPatch>,
    after: Resource,
}

/// Advice for a request. When nothing that can grow is found, or its value is written elsewhere, it says so and has no patch.
pub fn advise(
    request: &RecommendationRequested,
    graphs: &[ResourceGraph],
    read: ReadFile<'_>,
    pricing: &Pricing<'_>,
) -> RecommendationCreated {
    let shortage = Shortage::of(&request.reason);
    let candidates = graphs.iter().filter(|g| g.environment.as_ref().is_none_or(|e| *e == request.environment));
    let mut found = candidates.flat_map(|g| serving(g, &request.target).into_iter().map(move |r| (g, r)));
    let change = found.find_map(|(g, r)| Some((g, r, grow(r, shortage, &request.target, read)?)));
    let cause = request.incident.as_ref().map_or_else(|| request.reason.clone(), |i| format!("incident {i}"));
    let base = |sentence: String, what: &str| RecommendationCreated {
        recommendation: id("capacity", &request.target, Some(&request.environment), what),
        kind: "capacity".into(),
        target: request.target.clone(),
        environment: Some(request.environment.clone()),
        service: Some(request.target.as_str().into()),
        sentence,
        evidence: vec![request.reason.clone()],
        monthly_delta: None,
        patch: None,
        risk: "more capacity hides a leak; look whether the use keeps growing after it".into(),
        cause,
    };
    let Some((graph, resource, change)) = change else {
        let sentence = format!(
            "{} needs more {} in {}, and no file says how much it has: no resource carries its name, label or tag",
            request.target,
            shortage.word(),
            request.environment
        );
        return base(sentence, shortage.word());
    };
    let sentence = format!("raise {} of {} from {} to {}", change.what, resource.address, change.from, change.to);
    let mut advice = base(sentence, &format!("{} {} {}", resource.address, change.what, change.to));
    advice.evidence.push(format!("{} is written in {}", resource.address, resource.place));
    advice.monthly_delta = delta(graph, resource, &change.after, pricing);
    if advice.monthly_delta.is_none() {
        advice.evidence.push("the change of the monthly cost is unknown".into());
    }
    match change.patched {
        Ok(new) => {
            let old = read(&resource.place.file).unwrap_or_default();
            advice.patch = patch::diff(&resource.place.file, &old, &new);
        }
        Err(why) => advice.evidence.push(format!("no patch: {why}")),
    }
    advice
}

/// Resources that serve a target: of its address, label, tag or name, in this order.
fn serving<'a>(graph: &'a ResourceGraph, target: &str) -> Vec<&'a Resource> {
    let labelled = |r: &Resource| {
        let places = ["tags", "labels", "metadata.labels", "spec.template.metadata.labels"];
        let keys = ["service", "Service", "app", "app.kubernetes.io/name", "service.name"];
        places
            .iter()
            .filter_map(|p| r.at(p))
            .any(|map| keys.iter().any(|k| map.get(k).and_then(Attribute::as_str) == Some(target)))
    };
    let named = |r: &Resource| {
        let last = r.address.rsplit(['.', '/']).next().unwrap_or_default();
        last.split('[').next() == Some(target)
    };
    let by = |wanted: &dyn Fn(&Resource) -> bool| graph.resources.iter().filter(|r| !r.data && wanted(r)).collect();
    let groups: [Vec<&Resource>; 3] = [by(&|r| r.address == target), by(&labelled), by(&named)];
    groups.into_iter().find(|g| !g.is_empty()).unwrap_or_default()
}

fn grow(resource: &Resource, shortage: Shortage, target: &str, read: ReadFile<'_>) -> Option<Change> {
    match resource.language {
        Language::Terraform => grow_terraform(resource, shortage, read),
        Language::Kubernetes => grow_container(resource, shortage, target, read),
        Language::CloudFormation => None,
    }
}

fn grow_terraform(resource: &Resource, shortage: Shortage, read: ReadFile<'_>) -> Option<Change> {
    let path = match (resource.kind.as_str(), shortage) {
        ("aws_instance", Shortage::Disk) => "root_block_device.volume_size",
        ("aws_ebs_volume", Shortage::Disk) => "size",
        ("aws_db_instance", Shortage::Disk) => "allocated_storage",
        ("aws_instance", _) => "instance_type",
        ("aws_db_instance" | "aws_rds_cluster_instance", _) => "instance_class",
        ("aws_elasticache_cluster" | "aws_elasticache_replication_group", _) => "node_type",
        ("google_compute_instance", Shortage::Memory | Shortage::Cpu) => "machine_type",
        _ => return None,
    };
    // A sentence and a patch would show what must not be shown.
    let current = resource.at(path).filter(|a| !matches!(a, Attribute::Sensitive(_)))?;
    let (from, to) = if shortage == Shortage::Disk {
        let size = current.as_f64()?;
        (size.to_string(), format!("{}", (size * DISK_GROWTH).ceil()))
    } else {
        let class = current.as_str()?;
        (class.to_owned(), larger(class)?)
    };
    let name = resource.address.rsplit_once('.').map_or("", |(_, n)| n).split('[').next().unwrap_or_default();
    let file = &resource.place.file;
    let patched = match read(file) {
        Some(text) => patch::hcl::attribute(file, &text, &resource.kind, name, path, &to),
        None => Err(NoPatch::Unreadable { file: file.clone(), why: "it is not there".into() }),
    };
    let mut after = resource.clone();
    write(&mut after, path, Attribute::String(to.clone()));
    Some(Change { what: path.to_owned(), from, to, patched, after })
}

/// The next larger class of the same family; `None` at the top or where the family has no such ladder.
pub fn larger(class: &str) -> Option<String> {
    if let Some((family, vcpu)) = class.rsplit_once('-').filter(|(f, _)| f.contains("-standard") || f.contains("-high"))
    {
        return Some(format!("{family}-{}", vcpu.parse::<u32>().ok()?.checked_mul(2)?));
    }
    let (family, size) = class.rsplit_once('.')?;
    let at = SIZES.iter().position(|s| *s == size)?;
    let known = |size: &&&str| {
        let plain = format!("{family}.{size}");
        let plain = plain.trim_start_matches("db.").trim_start_matches("cache.");
        Edition::get().instance(plain).is_some()
    };
    SIZES.iter().skip(at + 1).find(known).map(|size| format!("{family}.{size}"))
}

fn grow_container(resource: &Resource, shortage: Shortage, target: &str, read: ReadFile<'_>) -> Option<Change> {
    let containers = match resource.at("spec.template.spec.containers")? {
        Attribute::List(containers) => containers.clone(),
        _ => return None,
    };
    let name = |c: &Attribute| c.get("name").and_then(Attribute::as_str).map(str::to_owned);
    let container = match &containers[..] {
        [one] => one,
        many => many.iter().find(|c| name(c).as_deref() == Some(target))?,
    };
    let (key, other) = match shortage {
        Shortage::Memory => ("memory", "memory"),
        Shortage::Cpu => ("cpu", "cpu"),
        Shortage::Disk => return None,
    };
    let written = |of: &str| container.get("resources").and_then(|r| r.get(of)).and_then(|r| r.get(key)).map(text_of);
    let (request, limit) = (written("requests"), written("limits"));
    let from = limit.clone().or_else(|| request.clone())?;
    let to = grown(&from, shortage)?;
    let mut values = vec![];
    if request.is_some() {
        values.push((format!("resources.requests.{other}"), to.clone()));
    }
    if limit.is_some() {
        values.push((format!("resources.limits.{other}"), to.clone()));
    }
    let file = &resource.place.file;
    let object_kind = resource.kind.rsplit('/').next().unwrap_or_default();
    let object_name = resource.address.rsplit('/').next().unwrap_or_default();
    let container_name = name(container)?;
    let borrowed: Vec<(&str, &str)> = values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let patched = match read(file) {
        Some(text) => {
            let object = patch::yaml::Object { kind: object_kind, name: object_name };
            patch::yaml::container_resources(file, &text, &object, &container_name, &borrowed)
        }
        None => Err(NoPatch::Unreadable { file: file.clone(), why: "it is not there".into() }),
    };
    let index = containers.iter().position(|c| c == container)?;
    let mut after = resource.clone();
    for (path, value) in &values {
        let path = format!("spec.template.spec.containers.{index}.{path}");
        write(&mut after, &path, Attribute::String(value.clone()));
    }
    Some(Change { what: format!("{key} of container {container_name}"), from, to, patched, after })
}

fn text_of(attribute: &Attribute) -> String {
    match attribute.revealed() {
        Attribute::Number(n) => n.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// What the VPA recommender would ask for after a kill: 100 MiB or 20 % more, whichever is larger.
fn grown(from: &str, shortage: Shortage) -> Option<String> {
    match shortage {
        Shortage::Memory => {
            let bytes = gib(from)?.to_f64()? * f64::from(1_u32 << 30);
            Some(memory_text((bytes + OOM_MIN_BUMP).max(bytes * OOM_BUMP_RATIO) as i64))
        }
        _ => Some(cpu_text((cores(from)?.to_f64()? * 1000.0 * CPU_GROWTH).ceil() as i64)),
    }
}

/// Writes a value at a path that exists.
fn write(resource: &mut Resource, path: &str, value: Attribute) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if let Some(at) = resource.attributes.get_mut(first) {
        put(at, rest, value);
    }
}

/// A block list of one answers for its only member, as in reading.
fn put(at: &mut Attribute, path: Option<&str>, value: Attribute) {
    let Some(path) = path else {
        *at = value;
        return;
    };
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let (next, rest) = match at {
        Attribute::Map(map) => (map.get_mut(step), rest),
        Attribute::List(list) => match step.parse::<usize>() {
            Ok(index) => (list.get_mut(index), rest),
            Err(_) if list.len() == 1 => (list.first_mut(), Some(path)),
            Err(_) => return,
        },
        _ => return,
    };
    if let Some(next) = next {
        put(next, rest, value);
    }
}

/// Change of the monthly cost, when both sides are known.
fn delta(graph: &ResourceGraph, before: &Resource, after: &Resource, pricing: &Pricing<'_>) -> Option<Money> {
    let cost = |resource: &Resource| {
        let resource = Resource { action: None, before: None, ..resource.clone() };
        let one = ResourceGraph {
            resources: vec![resource],
            environment: graph.environment.clone(),
            ..ResourceGraph::default()
        };
        let estimate = Estimate::of(&one, pricing);
        estimate.lines.into_iter().next()?.after.as_ref().and_then(Side::known)
    };
    let (before, after) = (cost(before)?, cost(after)?);
    Some(Money { amount: after.amount - before.amount, currency: after.currency })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::infracost::usage::UsageFile;
    use crate::plan::tests::{graph, text};
    use crate::price::book::Book;

    #[test]
    fn the_next_size_is_one_that_exists() {
        for (class, expect) in [
            ("t3.micro", Some("t3.small")),
            ("m5.large", Some("m5.xlarge")),
            ("db.t3.small", Some("db.t3.medium")),
            ("cache.r5.large", Some("cache.r5.xlarge")),
            ("n2-standard-4", Some("n2-standard-8")),
            ("m5.24xlarge", None),
            ("odd", None),
        ] {
            assert_eq!(larger(class).as_deref(), expect, "{class}");
        }
    }

    fn ask(target: &str, reason: &str, file: &str) -> RecommendationCreated {
        let tags = Attribute::Map([("service".to_owned(), text("shop"))].into_iter().collect());
        let graph =
            graph(&[("aws_instance.web", "aws_instance", &[("instance_type", text("t3.micro")), ("tags", tags)])]);
        let request = RecommendationRequested {
            target: target.into(),
            environment: "production".into(),
            reason: reason.into(),
            incident: Some("INC-1".into()),
            by: "policy:feedback".into(),
        };
        let pricing = Pricing {
            book: &Book::embedded(),
            usage: &UsageFile::default(),
            currency: "USD",
            on: "2026-06-01".parse().unwrap(),
        };
        advise(&request, &[graph], &|path| (path == "infra/main.tf").then(|| file.to_owned()), &pricing)
    }

    #[test]
    fn an_incident_of_memory_is_answered_with_a_patch_and_its_price() {
        let file = "resource \"aws_instance\" \"web\" {\n  instance_type = \"t3.micro\" # small\n}\n";
        let advice = ask("shop", "memory ran short: 3 kills", file);
        assert_eq!(advice.sentence, "raise instance_type of aws_instance.web from t3.micro to t3.small");
        assert!(advice.patch.unwrap().contains("+  instance_type = \"t3.small\" # small\n"));
        assert_eq!(advice.monthly_delta.unwrap().to_string(), "$7.59", "(0.0208 - 0.0104) x 730");
        assert_eq!(advice.cause, "incident INC-1");
    }

    #[test]
    fn what_cannot_be_patched_is_said() {
        let advice =
            ask("shop", "cpu ran short", "resource \"aws_instance\" \"web\" {\n  instance_type = local.kind\n}\n");
        assert_eq!(advice.patch, None);
        assert!(
            advice.evidence.last().unwrap().contains("is an expression; change it where it is defined"),
            "{:?}",
            advice.evidence
        );
        let nobody = ask("cart", "memory ran short", "");
        assert!(nobody.sentence.starts_with("cart needs more memory in production, and no file says how much it has"));
    }
}
