//! Who costs what: OpenCost specification 0.1 over workloads, idle and overhead, and ownership of resources.
//!
//! `total = workloads + idle + overhead` holds to the last unit, by construction and by assertion: amounts are whole
//! nano-units and what division leaves over is handed out one by one, largest remainder first.

use serde::Serialize;
use std::collections::BTreeMap;

/// A millionth of a thousandth of a currency unit, in which every amount is kept.
pub const NANO: i128 = 1_000_000_000;

/// What an asset gives: CPU in core-hours, memory in GiB-hours, GPU in unit-hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Core-hours.
    pub cpu: f64,
    /// GiB-hours.
    pub memory: f64,
    /// GPU-hours.
    pub gpu: f64,
}

/// Rates that divide a node's price: OpenCost's defaults per hour.
pub const DEFAULT_RATES: Capacity = Capacity { cpu: 0.031_611, memory: 0.004_237, gpu: 0.95 };

/// A node or server over a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// Name.
    pub name: String,
    /// Its whole cost over the period.
    pub cost: i128,
    /// Its whole capacity over the period.
    pub capacity: Capacity,
}

/// What one container took of an asset over the period.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Who: `namespace/pod/container` or a service.
    pub name: String,
    /// Asset it ran on.
    pub asset: String,
    /// What it asked for.
    pub request: Capacity,
    /// What it used.
    pub usage: Capacity,
}

/// How shared, idle and overhead cost is given to workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// It stays a row of its own.
    Keep,
    /// The same to each.
    Uniform,
    /// In proportion to what each costs already.
    Proportional,
}

/// The period, divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// Cost of everything.
    pub total: i128,
    /// By workload.
    pub workloads: BTreeMap<String, i128>,
    /// What nobody took, by asset.
    pub idle: BTreeMap<String, i128>,
    /// Shared cost that belongs to no asset.
    pub overhead: i128,
    /// Assets of which more was used than there is, with the ratio in percent.
    pub overcommitted: BTreeMap<String, u64>,
    /// How idle and overhead were given on.
    pub split: Split,
}

impl Allocation {
    /// The identity of the specification.
    pub fn holds(&self) -> bool {
        self.workloads.values().sum::<i128>() + self.idle.values().sum::<i128>() + self.overhead == self.total
    }
}

/// Divides the cost of assets among workloads.
pub fn allocate(assets: &[Asset], workloads: &[Workload], overhead: i128, split: Split) -> Allocation {
    let mut result = Allocation {
        total: assets.iter().map(|a| a.cost).sum::<i128>() + overhead,
        workloads: workloads.iter().map(|w| (w.name.clone(), 0)).collect(),
        idle: BTreeMap::new(),
        overhead,
        overcommitted: BTreeMap::new(),
        split,
    };
    for asset in assets {
        let taken: Vec<(&str, f64)> =
            workloads.iter().filter(|w| w.asset == asset.name).map(|w| (w.name.as_str(), share(asset, w))).collect();
        let sum: f64 = taken.iter().map(|t| t.1).sum();
        if sum > 1.0 + 1e-9 {
            result.overcommitted.insert(asset.name.clone(), (sum * 100.0).round() as u64);
        }
        let idle = (1.0 - sum).max(0.0);
        let weights: Vec<f64> = taken.iter().map(|t| t.1).chain([idle]).collect();
        let mut parts = divide(asset.cost, &weights);
        let rest = parts.pop().unwrap_or(asset.cost);
        for ((name, _), part) in taken.iter().zip(parts) {
            *result.workloads.entry((*name).to_owned()).or_default() += part;
        }
        result.idle.insert(asset.name.clone(), rest);
    }
    give_on(&mut result);
    assert!(result.holds(), "workloads, idle and overhead are the total");
    result
}

/// Idle and overhead go to the workloads, when the split says so and there are any.
fn give_on(result: &mut Allocation) {
    if result.split == Split::Keep || result.workloads.is_empty() {
        return;
    }
    let weights: Vec<f64> = match result.split {
        Split::Uniform => vec![1.0; result.workloads.len()],
        _ => result.workloads.values().map(|cost| *cost as f64).collect(),
    };
    if weights.iter().sum::<f64>() <= 0.0 {
        return;
    }
    let given = result.idle.values().sum::<i128>() + result.overhead;
    for (cost, part) in result.workloads.values_mut().zip(divide(given, &weights)) {
        *cost += part;
    }
    result.idle.values_mut().for_each(|idle| *idle = 0);
    result.overhead = 0;
}

/// `max(request, usage)` of each resource, as a share of the asset's price divided in the ratio of rate × capacity.
fn share(asset: &Asset, workload: &Workload) -> f64 {
    let value = |c: &Capacity| [c.cpu, c.memory, c.gpu];
    let rates = value(&DEFAULT_RATES);
    let capacity = value(&asset.capacity);
    let worth: f64 = rates.iter().zip(capacity).map(|(r, c)| r * c).sum();
    if worth <= 0.0 {
        return 0.0;
    }
    let taken = value(&workload.request).into_iter().zip(value(&workload.usage)).map(|(r, u)| r.max(u).max(0.0));
    let parts = taken.zip(rates).zip(capacity).map(|((t, r), c)| if c > 0.0 { t * r } else { 0.0 });
    parts.sum::<f64>() / worth
}

/// Divides an amount in the ratio of weights, exactly: the parts always sum to the amount.
pub fn divide(amount: i128, weights: &[f64]) -> Vec<i128> {
    let total: f64 = weights.iter().sum();
    if weights.is_empty() {
        return vec![];
    }
    if total <= 0.0 || !total.is_finite() {
        let mut parts = vec![0; weights.len()];
        parts[weights.len() - 1] = amount;
        return parts;
    }
    let exact: Vec<f64> = weights.iter().map(|w| amount as f64 * (w / total)).collect();
    let mut parts: Vec<i128> = exact.iter().map(|e| e.floor() as i128).collect();
    let mut left = amount - parts.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).filter(|i| weights[*i] > 0.0).collect();
    order.sort_by(|a, b| (exact[*b].fract()).total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    for index in &order {
        if left > 0 {
            parts[*index] += 1;
            left -= 1;
        }
    }
    // Amounts beyond what a double tells apart leave more, or less than nothing; the largest part can bear it.
    let largest = order.iter().copied().max_by_key(|i| parts[*i]).unwrap_or(0);
    parts[largest] += left;
    parts
}

/// Who owns a resource, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// Team or person; `unowned` when nobody is named.
    pub name: String,
    /// label, CODEOWNERS, or nothing.
    pub by: &'static str,
}

/// Name of the row that nobody owns.
pub const UNOWNED: &str = "unowned";

impl Owner {
    /// Nobody.
    pub fn nobody() -> Self {
        Self { name: UNOWNED.into(), by: "nothing" }
    }
}

/// A CODEOWNERS file: the last pattern that matches a path names its owners.
#[derive(Clone, Debug, Default)]
pub struct CodeOwners {
    rules: Vec<(globset::GlobMatcher, Vec<String>)>,
}

impl CodeOwners {
    /// Reads the file; patterns that do not read are left out, as the hosting services do.
    pub fn read(text: &str) -> Self {
        let rule = |line: &str| {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let pattern = words.next()?;
            let glob = globset::GlobBuilder::new(&glob_of(pattern)).literal_separator(true).build().ok()?;
            Some((glob.compile_matcher(), words.map(str::to_owned).collect()))
        };
        Self { rules: text.lines().filter_map(rule).collect() }
    }

    /// Owners of a path; `None` when no pattern matches or the last one names nobody.
    pub fn owner(&self, path: &str) -> Option<&str> {
        let (_, owners) = self.rules.iter().rev().find(|(glob, _)| glob.is_match(path))?;
        owners.first().map(String::as_str)
    }
}

/// Git's pattern as a glob over paths from the top.
fn glob_of(pattern: &str) -> String {
    let anchored = pattern.trim_end_matches('/').contains('/');
    let path = pattern.trim_start_matches('/');
    let base = if anchored { path.to_owned() } else { format!("**/{path}") };
    match base.strip_suffix('/') {
        Some(folder) => format!("{folder}/**"),
        None if base.ends_with('*') => base,
        None => format!("{{{base},{base}/**}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(cost: i128) -> Asset {
        Asset { name: "n".into(), cost, capacity: Capacity { cpu: 4.0, memory: 16.0, gpu: 0.0 } }
    }

    fn pod(name: &str, request: f64, usage: f64) -> Workload {
        let capacity = |cpu: f64| Capacity { cpu, memory: cpu * 4.0, gpu: 0.0 };
        Workload { name: name.into(), asset: "n".into(), request: capacity(request), usage: capacity(usage) }
    }

    #[test]
    fn the_larger_of_request_and_usage_is_charged_and_the_rest_is_idle() {
        let found = allocate(&[node(1000)], &[pod("a", 1.0, 0.5), pod("b", 0.5, 2.0)], 100, Split::Keep);
        assert_eq!((found.workloads["a"], found.workloads["b"], found.idle["n"], found.overhead), (250, 500, 250, 100));
        let given = allocate(&[node(1000)], &[pod("a", 1.0, 0.5), pod("b", 0.5, 2.0)], 100, Split::Proportional);
        assert_eq!((given.workloads["a"], given.workloads["b"], given.idle["n"], given.overhead), (367, 733, 0, 0));
        let same = allocate(&[node(1000)], &[pod("a", 1.0, 0.5), pod("b", 0.5, 2.0)], 100, Split::Uniform);
        assert_eq!((same.workloads["a"], same.workloads["b"]), (425, 675));
    }

    #[test]
    fn overcommitment_scales_down_and_idle_never_goes_negative() {
        let found = allocate(&[node(1000)], &[pod("a", 4.0, 0.0), pod("b", 4.0, 0.0)], 0, Split::Keep);
        assert_eq!((found.workloads["a"], found.workloads["b"], found.idle["n"]), (500, 500, 0));
        assert_eq!(found.overcommitted["n"], 200);
    }

    #[test]
    fn the_last_pattern_that_matches_owns() {
        let owners = CodeOwners::read(
            "*  @all\n/infra/ @platform # ours\ninfra/db/*.tf @data @extra\ndocs/ @writers\n/secret/\n",
        );
        let cases = [
            ("infra/main.tf", Some("@platform")),
            ("infra/db/main.tf", Some("@data")),
            ("src/x.rs", Some("@all")),
            ("sub/docs/a.md", Some("@writers")),
            ("secret/x", None),
        ];
        for (path, expect) in cases {
            assert_eq!(owners.owner(path), expect, "{path}");
        }
        assert_eq!(CodeOwners::default().owner("x"), None);
    }

    fn capacity() -> impl Strategy<Value = Capacity> {
        (0.0..64.0, 0.0..256.0, 0.0..4.0).prop_map(|(cpu, memory, gpu)| Capacity { cpu, memory, gpu })
    }

    proptest! {
        /// The identity of the specification, for every split.
        #[test]
        fn workloads_idle_and_overhead_are_the_total(
            costs in proptest::collection::vec((0_i128..1_000_000 * NANO, capacity()), 1..6),
            taken in proptest::collection::vec((0_usize..6, capacity(), capacity()), 0..20),
            overhead in 0_i128..1_000 * NANO,
            split in prop_oneof![Just(Split::Keep), Just(Split::Uniform), Just(Split::Proportional)],
        ) {
            let assets: Vec<Asset> = costs.iter().enumerate()
                .map(|(i, (cost, capacity))| Asset { name: format!("n{i}"), cost: *cost, capacity: *capacity })
                .collect();
            let workloads: Vec<Workload> = taken.iter().enumerate()
                .map(|(i, (at, request, usage))| Workload {
                    name: format!("w{i}"), asset: format!("n{}", at % assets.len()), request: *request, usage: *usage,
                })
                .collect();
            let found = allocate(&assets, &workloads, overhead, split);
            prop_assert!(found.holds());
            prop_assert!(found.idle.values().all(|i| *i >= 0) && found.workloads.values().all(|w| *w >= 0));
        }

        #[test]
        fn parts_sum_to_the_amount(amount in 0_i128..i128::from(u64::MAX), weights in proptest::collection::vec(0.0..1e9_f64, 1..50)) {
            let parts = divide(amount, &weights);
            prop_assert_eq!(parts.iter().sum::<i128>(), amount);
            prop_assert!(parts.iter().all(|p| *p >= 0));
        }
    }
}
