//! Builds the embedded price book from an unpacked apache-libcloud wheel (3.9.1, Apache-2.0):
//! `pip download apache-libcloud==3.9.1 --no-deps && unzip *.whl`, then `cargo xtask prices DIR`.
//!
//! Out: one sorted table, a line per SKU with the prices of its regions, compressed. Two traps of the source are marked
//! rather than hidden: a price of 0 stays 0, which the book answers as unknown, and an EC2 price that disagrees with
//! the other sizes of its family in the same region becomes `?`, because the source mixes dedicated tenancy into shared.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// How far a size may be from its family's price per GiB before the row is doubted.
const AGREEMENT: f64 = 1.012;
/// GCE disks stand there as a 720th of the monthly price.
const DISK_HOURS: f64 = 720.0;
/// Compression level: the file is written once and read by everybody.
const LEVEL: i32 = 19;
/// Prices carry nine decimals at most.
const DECIMALS: usize = 9;

type Regions = BTreeMap<String, String>;
/// provider, service, sku, unit -> prices by region.
type Book = BTreeMap<(String, String, String, String), Regions>;

/// Reads the package below `dir` and writes `prices.zst` and `instances.csv` of `lem-optimize`.
pub(crate) fn build(root: &Path, dir: &Path) -> Result<()> {
    let path = dir.join("libcloud/data/pricing.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let json: Value = serde_json::from_str(&text).context("pricing.json")?;
    let updated = json["updated"].as_i64().context("pricing.json says no date")?;
    let instances = instances(dir)?;
    let mut book = Book::new();
    let compute = &json["compute"];
    ec2(&compute["ec2_linux"], &instances, &mut book);
    azure(&compute["azure_linux"], "linux", &mut book);
    azure(&compute["azure_windows"], "windows", &mut book);
    gce(compute, &mut book);
    ensure!(book.len() > 1_500, "only {} SKUs: this is not the package it should be", book.len());
    let into = root.join("crates/lem-optimize/data");
    let table = table(&book, &date(updated));
    std::fs::write(into.join("prices.zst"), zstd::encode_all(table.as_bytes(), LEVEL)?)?;
    std::fs::write(into.join("instances.csv"), instance_table(&instances))?;
    let rows: usize = book.values().map(BTreeMap::len).sum();
    println!("prices: {} SKUs, {rows} rows as of {}", book.len(), date(updated));
    Ok(())
}

/// Shared-tenancy Linux prices. Windows, RHEL and SUSE are left out: there the source mixes licence fees into prices.
fn ec2(table: &Value, instances: &BTreeMap<String, Instance>, book: &mut Book) {
    let mut families: HashMap<(String, String), Vec<(String, f64, f64)>> = HashMap::new();
    for (kind, region, price) in cells(table) {
        let family = kind.split('.').next().unwrap_or(&kind).to_owned();
        let per_gib = instances.get(&kind).filter(|i| i.ram_mib > 0).map_or(0.0, |i| price / i.ram_mib as f64);
        families.entry((region, family)).or_default().push((kind, price, per_gib));
    }
    for ((region, _), sizes) in families {
        let units = sizes.iter().map(|s| s.2).filter(|u| *u > 0.0);
        let lowest = units.clone().fold(f64::INFINITY, f64::min);
        let agrees = |unit: f64| unit > 0.0 && unit <= lowest * AGREEMENT;
        let confirmed = units.filter(|u| agrees(*u)).count() >= 2;
        for (kind, price, unit) in sizes {
            let shown = match price {
                0.0 => "0".to_owned(),
                p if confirmed && agrees(unit) => number(p),
                _ => "?".to_owned(),
            };
            add(book, ["aws", "ec2", &format!("linux/{kind}"), "hour"], &region, shown);
        }
    }
}

fn azure(table: &Value, system: &str, book: &mut Book) {
    for (kind, region, price) in cells(table) {
        if !kind.starts_with("lowpriority") {
            add(book, ["azure", "vm", &format!("{system}/{kind}"), "hour"], &region, number(price));
        }
    }
}

fn gce(compute: &Value, book: &mut Book) {
    for (family, parts) in entries(&compute["gce_instances"]) {
        for (part, unit) in [("cpu", "vcpu-hour"), ("ram", "gib-hour")] {
            // One number is a whole machine for the shared-core families, which have no memory price.
            let whole = parts.get("ram").is_none();
            for (offer, suffix) in [("on_demand", ""), ("preemptible", "/preemptible")] {
                for (region, cell) in entries(&parts[part][offer]) {
                    let Some(price) = cell["price"].as_f64() else { continue };
                    let unit = if whole { "hour" } else { unit };
                    add(book, ["gcp", "compute", &format!("{family}/{part}{suffix}"), unit], &region, number(price));
                }
            }
        }
    }
    for (disk, offers) in entries(&compute["gce_disks"]) {
        let sku = format!("disk/{}", disk.to_lowercase().replace(' ', "-"));
        for (region, cell) in entries(&offers["on_demand"]) {
            let Some(price) = cell["price"].as_f64() else { continue };
            let month = (price * DISK_HOURS * 1e6).round() / 1e6;
            add(book, ["gcp", "compute", &sku, "gb-month"], &region, number(month));
        }
    }
}

fn add(book: &mut Book, [provider, service, sku, unit]: [&str; 4], region: &str, price: String) {
    let key = (provider.to_owned(), service.to_owned(), sku.to_owned(), unit.to_owned());
    book.entry(key).or_default().insert(region.to_owned(), price);
}

/// kind, region and price of a table of two levels.
fn cells(table: &Value) -> Vec<(String, String, f64)> {
    let rows = entries(table).into_iter();
    rows.flat_map(|(kind, regions)| {
        let prices = entries(&regions).into_iter().filter_map(|(region, p)| Some((region, p.as_f64()?)));
        prices.map(move |(region, price)| (kind.clone(), region, price)).collect::<Vec<_>>()
    })
    .collect()
}

fn entries(value: &Value) -> Vec<(String, Value)> {
    value.as_object().map(|o| o.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default()
}

fn number(price: f64) -> String {
    let text = format!("{price:.DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn date(seconds: i64) -> String {
    // Civil date from days since 1970 (Hinnant's algorithm), so that this tool needs no calendar library.
    let z = seconds.div_euclid(86_400) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    format!("{:04}-{month:02}-{day:02}", yoe + era * 400 + i64::from(month <= 2))
}

fn table(book: &Book, date: &str) -> String {
    let mut out = format!("#libcloud-3.9.1\t{date}\tapache-libcloud 3.9.1 pricing.json\n");
    // Lines sort as text, so that the reader may look a SKU up by bisection.
    let mut lines: Vec<String> = book
        .iter()
        .map(|((provider, service, sku, unit), regions)| {
            let prices: Vec<String> = regions.iter().map(|(region, price)| format!("{region}={price}")).collect();
            format!("{provider}\t{service}\t{sku}\t{unit}\t{}\n", prices.join(","))
        })
        .collect();
    lines.sort();
    out.extend(lines);
    out
}

#[derive(Default)]
struct Instance {
    vcpu: u32,
    ram_mib: u32,
}

/// vCPUs and memory of EC2 types, from the package's generated Python table: one key per line, fixed indentation.
fn instances(dir: &Path) -> Result<BTreeMap<String, Instance>> {
    let path = dir.join("libcloud/compute/constants/ec2_instance_types.py");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut found: BTreeMap<String, Instance> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let quoted = |prefix: &str| line.strip_prefix(prefix).and_then(|rest| rest.split('"').next());
        if line.ends_with('{') && !line.starts_with("     ") {
            current = quoted("    \"").unwrap_or_default().to_owned();
        } else if let Some(vcpu) = quoted("            \"vcpu\": \"") {
            found.entry(current.clone()).or_default().vcpu = vcpu.parse().unwrap_or(0);
        } else if let Some(ram) = line.strip_prefix("        \"ram\": ") {
            found.entry(current.clone()).or_default().ram_mib = ram.trim_end_matches(',').parse().unwrap_or(0);
        }
    }
    ensure!(found.len() > 500, "only {} instance types read", found.len());
    Ok(found)
}

fn instance_table(instances: &BTreeMap<String, Instance>) -> String {
    let mut out = "type,vcpu,ram_mib\n".to_owned();
    for (kind, instance) in instances.iter().filter(|(_, i)| i.vcpu > 0 && i.ram_mib > 0) {
        out += &format!("{kind},{},{}\n", instance.vcpu, instance.ram_mib);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_disagrees_with_its_family_is_doubted() {
        let instances = [("m5.large", 8192), ("m5.xlarge", 16384), ("m5.2xlarge", 32768), ("m5.4xlarge", 65536)]
            .map(|(k, ram_mib)| (k.to_owned(), Instance { vcpu: 2, ram_mib }));
        let table = serde_json::json!({
            "m5.large": {"eu": 0.1}, "m5.xlarge": {"eu": 0.2}, "m5.2xlarge": {"eu": 0.44}, "m5.4xlarge": {"eu": 0.0},
        });
        let mut book = Book::new();
        ec2(&table, &instances.into(), &mut book);
        let prices: Vec<&str> = book.values().map(|r| r["eu"].as_str()).collect();
        assert_eq!(prices, ["?", "0", "0.1", "0.2"], "in order 2xlarge, 4xlarge, large, xlarge");
    }

    #[test]
    fn dates_and_numbers_are_plain() {
        assert_eq!((date(1_740_936_978), date(0)), ("2025-03-02".into(), "1970-01-01".into()));
        assert_eq!((number(0.000_069_166_7), number(96.0)), ("0.000069167".into(), "96".into()));
    }
}
