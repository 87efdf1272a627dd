//! Measures appending: samples per second and bytes per sample, on a mix of counters, gauges, constants and noise.
//!
//! `cargo run --release -p lem-engine-metrics --example ingest -- [SERIES] [STEPS]`

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use lem_engine_metrics::{Clock, Labels, Maintenance, Matcher, Options, Sample, SeriesRef, Store, Sync};

const STEP_MS: i64 = 15_000;
const BATCH: usize = 2_000;
const START_MS: i64 = 1_700_000_000_000;

/// A small generator of its own (xorshift), so that every run writes the same.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn labels(n: usize) -> Result<Labels, Box<dyn Error>> {
    let (metric, instance, pod) =
        (format!("metric_{:03}", n / 50), format!("10.0.0.{}:9100", n % 50), format!("pod-{n}"));
    Ok(Labels::new([
        ("__name__", metric.as_str()),
        ("instance", &instance),
        ("pod", &pod),
        ("job", "node"),
        ("zone", "eu-1"),
        ("env", "production"),
    ])?)
}

/// Six of ten series are counters, two walk in whole steps, one is constant, one is noisy with three decimals.
fn advance(series: usize, value: f64, noise: &mut Noise) -> f64 {
    match series % 10 {
        0..=5 => value + noise.below(10) as f64,
        6 | 7 => value + noise.below(3) as f64 - 1.0,
        8 => value,
        _ => noise.below(100_000) as f64 / 1000.0,
    }
}

fn bytes_below(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { bytes_below(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let series = args.next().unwrap_or(Ok(10_000))?;
    let steps = args.next().unwrap_or(Ok(720))?;
    let dir = std::env::temp_dir().join(format!("lem-ingest-{}", std::process::id()));
    let end = START_MS + steps as i64 * STEP_MS;
    let options = Options {
        sync: Sync::GroupMs(1_000),
        maintenance: Maintenance::Manual,
        clock: Clock::new(move || end),
        ..Options::default()
    };
    let (store, _) = Store::open(&dir, options.clone())?;
    let refs =
        (0..series).map(|n| Ok(store.resolve(&labels(n)?)?)).collect::<Result<Vec<SeriesRef>, Box<dyn Error>>>()?;
    let (mut values, mut noise) = (vec![0.0; series], Noise(42));
    let mut busy = 0.0;
    for step in 0..steps {
        let t = START_MS + step as i64 * STEP_MS;
        let batch = |(n, value): (usize, &mut f64)| {
            *value = advance(n, *value, &mut noise);
            Sample::by_ref(refs[n], t, *value)
        };
        let samples: Vec<Sample> = values.iter_mut().enumerate().map(batch).collect();
        let begin = Instant::now();
        for part in samples.chunks(BATCH) {
            store.append(part)?;
        }
        busy += begin.elapsed().as_secs_f64();
    }
    let total = (series * steps) as f64;
    println!("append      {:>12.0} samples/s ({:.0} samples)", total / busy, total);
    println!("log         {:>12.2} bytes/sample", store.status().wal_bytes as f64 / total);
    let begin = Instant::now();
    drop(store);
    let (store, report) = Store::open(&dir, options)?;
    println!("replay      {:>12.0} samples/s", report.replayed_samples as f64 / begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    store.maintain()?;
    println!("maintain    {:>12.2} s", begin.elapsed().as_secs_f64());
    let status = store.status();
    let (bytes, stored) = status.blocks.iter().fold((0, 0), |(b, s), block| (b + block.bytes, s + block.samples));
    println!(
        "blocks      {:>12.2} bytes/sample in {} blocks",
        bytes as f64 / stored.max(1) as f64,
        status.blocks.len()
    );
    let begin = Instant::now();
    let found = store.select(&[Matcher::equal("job", "node")], end - 3_600_000, end)?;
    let samples: usize = found.series.iter().map(|(_, points)| points.len()).sum();
    println!("select      {:>12.0} samples/s ({samples} samples)", samples as f64 / begin.elapsed().as_secs_f64());
    println!("disk        {:>12} bytes in all", bytes_below(&dir)?);
    drop(store);
    fs::remove_dir_all(&dir)?;
    Ok(())
}
