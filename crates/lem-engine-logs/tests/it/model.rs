//! The store against a list in memory: random lines, random scans, flushed and merged at random.

use lem_engine_logs::*;

use crate::basic::{NOW, options};

/// xorshift64*: the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % below
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const PIECES: [&str; 20] = [
    "1.2.3.4",
    "11.2.3.45",
    "1.2.3.4.5",
    "error",
    "Error:",
    "errors",
    "user=42",
    "user=421",
    "a-b-7",
    "a-b-77",
    "x",
    "größe",
    "\u{1F600}",
    "v1.2.3-rc1",
    "10:00:01.5",
    "GET",
    "/api/v1",
    "_under",
    "q\"uote",
    "",
];
const SEPARATORS: [&str; 8] = [" ", " ", " ", "", ",", ": ", "=", "-"];

fn line(dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.roll(6) {
        out.extend_from_slice(dice.pick(&PIECES).as_bytes());
        out.extend_from_slice(dice.pick(&SEPARATORS).as_bytes());
    }
    if dice.roll(20) == 0 {
        out.extend_from_slice(b"\xff\xfe bad");
    }
    out
}

/// A piece of some line, or of the vocabulary: substrings that begin and end anywhere.
fn needle(dice: &mut Dice, lines: &[LogRecord]) -> Vec<u8> {
    if dice.roll(3) == 0 {
        return format!("{}{}", dice.pick(&PIECES), dice.pick(&SEPARATORS)).into_bytes();
    }
    let line = &lines[dice.roll(lines.len())].line;
    let start = dice.roll(line.len() + 1);
    let end = start + dice.roll(line.len() - start + 1);
    line[start..end].to_vec()
}

fn random_record(dice: &mut Dice, at: i64) -> LogRecord {
    let day = dice.roll(3) as i64 * 86_400_000_000_000;
    let ts_ns = NOW - day - dice.roll(50) as i64 * 7_000_000_000 + at % 2;
    let labels = Labels::new([("app", ["a", "b", "c"][dice.roll(3)]), ("env", ["", "prod"][dice.roll(2)])]);
    let mut record = LogRecord::new(ts_ns, labels, line(dice));
    for name in ["user", "trace", "user"] {
        if dice.roll(3) == 0 {
            record.fields.push((name.to_owned(), dice.roll(5).to_string()));
        }
    }
    if dice.roll(5) == 0 {
        record.trace_id = Some(TraceId([dice.roll(4) as u8; 16]));
    }
    record
}

fn random_plan(dice: &mut Dice, records: &[LogRecord]) -> ScanPlan {
    let matchers = match dice.roll(4) {
        0 => vec![Matcher::equal("app", "a")],
        1 => vec![Matcher::new("app", MatchOp::Regex, "a|b").unwrap(), Matcher::equal("env", "")],
        2 => vec![Matcher::new("env", MatchOp::NotEqual, "").unwrap()],
        _ => vec![],
    };
    let from = NOW - dice.roll(3 * 86_400) as i64 * 1_000_000_000;
    let (start, end) = match dice.roll(3) {
        0 => (from, from + dice.roll(86_400) as i64 * 1_000_000_000),
        1 => (NOW - dice.roll(400) as i64 * 1_000_000_000, NOW + 1),
        _ => (i64::MIN, i64::MAX),
    };
    let kinds = [LiteralKind::Substring, LiteralKind::SubstringNoCase, LiteralKind::Token, LiteralKind::TokenNoCase];
    let mut literals = Vec::new();
    for _ in 0..dice.roll(3) {
        let any = (0..=dice.roll(2)).map(|_| Literal { bytes: needle(dice, records), kind: kinds[dice.roll(4)] });
        literals.push(any.collect());
    }
    let fields = match dice.roll(6) {
        0 => vec![("user".to_owned(), dice.roll(6).to_string())],
        1 => vec![("trace_id".to_owned(), TraceId([dice.roll(5) as u8; 16]).to_string())],
        _ => vec![],
    };
    ScanPlan {
        literals,
        fields,
        direction: if dice.roll(2) == 0 { Direction::Forward } else { Direction::Backward },
        limit: if dice.roll(2) == 0 { Some(dice.roll(20)) } else { None },
        ..ScanPlan::new(matchers, start, end)
    }
}

/// What the plan means, without any index.
fn naive(records: &[LogRecord], plan: &ScanPlan) -> Vec<(i64, Labels, Vec<u8>, Fields)> {
    let mut found: Vec<&LogRecord> = records
        .iter()
        .filter(|r| plan.matchers.iter().all(|m| m.matches(&r.labels)))
        .filter(|r| plan.start_ns <= r.ts_ns && r.ts_ns < plan.end_ns)
        .filter(|r| plan.literals.iter().all(|any| any.iter().any(|l| l.occurs_in(&r.line))))
        .filter(|r| {
            plan.fields.iter().all(|want| {
                r.fields.contains(want) || want.0 == "trace_id" && r.trace_id.is_some_and(|t| t.to_string() == want.1)
            })
        })
        .collect();
    found.sort_by_key(|r| (r.ts_ns, StreamKey::of(r)));
    if plan.direction == Direction::Backward {
        found.reverse();
    }
    found.truncate(plan.limit.unwrap_or(usize::MAX));
    found.iter().map(|r| (r.ts_ns, r.labels.clone(), r.line.to_vec(), sorted(&r.fields))).collect()
}

/// Columns do not keep the order of different names.
fn sorted(fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

#[test]
fn scans_find_exactly_what_a_list_finds() {
    let (mut pruned, mut found_lines) = (0, 0);
    for seed in 1..=6u64 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = LogStore::open(dir.path(), options()).unwrap();
        let mut records = Vec::new();
        for _ in 0..14 {
            let batch: Vec<_> = (0..30).map(|i| random_record(&mut dice, i)).collect();
            store.append(batch.clone()).unwrap();
            records.extend(batch);
            match dice.roll(5) {
                0 | 1 => drop(store.flush().unwrap()),
                2 => drop(store.maintain().unwrap()),
                3 => {
                    drop(store);
                    store = LogStore::open(dir.path(), options()).unwrap().0;
                }
                _ => {}
            }
            for _ in 0..25 {
                let plan = random_plan(&mut dice, &records);
                let result = store.scan(&plan).unwrap();
                let got: Vec<_> = result
                    .lines
                    .iter()
                    .map(|l| (l.ts_ns, l.stream.labels.clone(), l.line.to_vec(), sorted(&l.fields)))
                    .collect();
                assert_eq!(got, naive(&records, &plan), "seed {seed}: {plan:?}");
                pruned += result.stats.blocks_pruned;
                found_lines += got.len();
            }
        }
        let stats = store.stats(&LabelRange::new(vec![], i64::MIN, i64::MAX)).0;
        let bytes: usize = records.iter().map(|r| r.line.len()).sum();
        assert_eq!((stats.entries, stats.bytes), (records.len() as u64, bytes as u64));
    }
    assert!(pruned > 100 && found_lines > 1000, "pruned {pruned} blocks, found {found_lines} lines");
}

#[test]
fn erasure_removes_what_the_scan_finds_and_nothing_else() {
    let mut dice = Dice(77);
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    let records: Vec<_> = (0..300).map(|i| random_record(&mut dice, i)).collect();
    store.append(records.clone()).unwrap();
    let plan = ScanPlan {
        literals: vec![vec![Literal::substring("1.2.3.4")]],
        ..ScanPlan::new(vec![Matcher::equal("app", "a")], i64::MIN, i64::MAX)
    };
    let doomed = store.scan(&plan).unwrap().lines.len();
    assert!(doomed > 0);
    let report = store.erase(&plan).unwrap();
    assert_eq!((report.erased as usize, store.scan(&plan).unwrap().lines.len()), (doomed, 0));
    let everything = ScanPlan::new(vec![], i64::MIN, i64::MAX);
    assert_eq!(store.scan(&everything).unwrap().lines.len(), 300 - doomed);
    drop(store);
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(store.scan(&everything).unwrap().lines.len(), 300 - doomed);
}
