//! The embedded edition: a compressed sorted table made by `cargo xtask prices`, and the curated rows beside it.
//!
//! The table is looked up by bisection over its text; nothing is parsed but the line that answers.

use crate::engine::LayerInfo;
use crate::price::PriceKey;
use crate::price::layer::Layer;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::OnceLock;

static TABLE: &[u8] = include_bytes!("../../data/prices.zst");
static CURATED: &str = include_str!("../../data/curated.csv");
static INSTANCES: &str = include_str!("../../data/instances.csv");

/// vCPUs and memory of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// vCPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub ram_mib: u32,
}

/// What the table says about one SKU in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Price(Decimal),
    /// The source says 0.
    Zero,
    /// The source contradicts itself.
    Doubtful,
}

/// The embedded edition.
#[derive(Debug)]
pub struct Edition {
    name: String,
    date: Date,
    source: String,
    text: String,
    /// Start and end of each line.
    lines: Vec<(u32, u32)>,
    rows: usize,
    curated: Layer,
    instances: HashMap<&'static str, InstanceType>,
}

impl Edition {
    /// The one edition, unpacked once.
    pub fn get() -> &'static Self {
        static EDITION: OnceLock<Edition> = OnceLock::new();
        EDITION.get_or_init(|| {
            let bytes = zstd::decode_all(TABLE).expect("the table was compressed by our own tool");
            let text = String::from_utf8(bytes).expect("the table is text");
            Self::read(text, Layer::read("curated", CURATED).expect("a test reads the curated rows"))
        })
    }

    fn read(text: String, curated: Layer) -> Self {
        let header = text.lines().next().and_then(|l| l.strip_prefix('#')).unwrap_or_default();
        let mut parts = header.split('\t').map(str::to_owned);
        let (name, date, source) = (parts.next(), parts.next(), parts.next());
        let base = text.as_ptr() as usize;
        let offset = |line: &str| (line.as_ptr() as usize - base) as u32;
        let lines: Vec<(u32, u32)> =
            text.lines().skip(1).map(|line| (offset(line), offset(line) + line.len() as u32)).collect();
        let rows = text.bytes().filter(|b| *b == b'=').count();
        Self {
            name: name.unwrap_or_default(),
            date: date.and_then(|d| d.parse().ok()).unwrap_or(Date::MIN),
            source: source.unwrap_or_default(),
            lines,
            rows,
            text,
            curated,
            instances: instances(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn date(&self) -> Date {
        self.date
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn curated(&self) -> &Layer {
        &self.curated
    }

    /// Layers, lowest first.
    pub(crate) fn layers(&self) -> Vec<LayerInfo> {
        let newest = self.curated.rows().map(|r| r.valid_from).max().unwrap_or(Date::MIN);
        vec![
            LayerInfo { name: self.name.clone(), date: self.date, rows: self.rows },
            LayerInfo { name: self.curated.name.clone(), date: newest, rows: self.curated.len() },
        ]
    }

    /// Size of an EC2 type.
    pub fn instance(&self, kind: &str) -> Option<InstanceType> {
        self.instances.get(kind).copied()
    }

    /// Every EC2 type with its size.
    pub fn instances(&self) -> impl Iterator<Item = (&'static str, InstanceType)> {
        self.instances.iter().map(|(kind, size)| (*kind, *size))
    }

    pub(crate) fn cell(&self, key: &PriceKey) -> Option<Cell> {
        let wanted = format!("{}\t{}\t{}\t{}\t", key.provider, key.service, key.sku, key.unit);
        let line = |index: usize| {
            let (start, end) = self.lines[index];
            &self.text[start as usize..end as usize]
        };
        let at = self.lines.partition_point(|(start, end)| self.text[*start as usize..*end as usize] < *wanted);
        let prices = (at < self.lines.len()).then(|| line(at).strip_prefix(&wanted)).flatten()?;
        let price = prices.split(',').find_map(|cell| cell.strip_prefix(&*key.region)?.strip_prefix('='))?;
        match price {
            "0" => Some(Cell::Zero),
            "?" => Some(Cell::Doubtful),
            text => text.parse().ok().map(Cell::Price),
        }
    }
}

fn instances() -> HashMap<&'static str, InstanceType> {
    let row = |line: &'static str| {
        let mut cells = line.split(',');
        let kind = cells.next()?;
        let (vcpu, ram_mib) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        Some((kind, InstanceType { vcpu, ram_mib }))
    };
    INSTANCES.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_as_large_as_it_says() {
        let edition = Edition::get();
        let lines: Vec<&str> = edition.text.lines().skip(1).collect();
        assert!(lines.is_sorted(), "bisection needs order");
        assert!(lines.len() > 1_500 && edition.rows > 20_000, "{} SKUs, {} rows", lines.len(), edition.rows);
        assert_eq!(edition.instance("m5.large"), Some(InstanceType { vcpu: 2, ram_mib: 8192 }));
    }
}
