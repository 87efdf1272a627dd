//! The miner: buckets of a fixed key (what stands between the words, and the first word), and in each bucket the best
//! cluster at similarity of at least [`SIMILARITY_MIN`], else a new one.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use super::PatternId;
use super::mask::{Cut, cut};
use super::registry::{Cluster, Registry, Seen};
use crate::limits;
use crate::record::Severity;

/// Share of words that must agree with the words the cluster began with.
const SIMILARITY_MIN: f64 = 0.7;
/// Exact forms remembered; beyond it the memory starts afresh.
const EXACT_MAX: usize = 1 << 16;

/// Assigns a pattern to every line.
#[derive(Debug, Default)]
pub(crate) struct Miner {
    pub(crate) registry: Registry,
    buckets: HashMap<u64, Vec<PatternId>>,
    exact: HashMap<u64, PatternId>,
    cut: Cut,
}

impl Miner {
    /// A miner that goes on where the registry stopped.
    pub(crate) fn resume(registry: Registry) -> Self {
        let mut miner = Self::default();
        for cluster in &registry.clusters {
            miner.buckets.entry(cluster.bucket).or_default().push(cluster.id);
        }
        miner.registry = registry;
        miner
    }

    /// The pattern of a line; `seen` says where and when, `severity` how bad.
    pub(crate) fn observe(&mut self, line: &[u8], severity: Option<Severity>, seen: Seen<'_>) -> PatternId {
        let mut words = std::mem::take(&mut self.cut);
        cut(line, &mut words);
        let (bucket, exact) = keys(line, &words);
        let id = match self.exact.get(&exact) {
            Some(id) => *id,
            None => self.place(line, &words, bucket, exact),
        };
        self.cut = words;
        self.registry.note(id, severity, seen);
        id
    }

    fn place(&mut self, line: &[u8], words: &Cut, bucket: u64, exact: u64) -> PatternId {
        let members = self.buckets.entry(bucket).or_default();
        let clusters = &mut self.registry.clusters;
        let best = members
            .iter()
            .filter_map(|id| {
                let similarity = clusters.get(id.0 as usize - 1)?.similarity(line, words);
                (similarity >= SIMILARITY_MIN).then_some((similarity, *id))
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let id = match best {
            Some((_, id)) => {
                clusters[id.0 as usize - 1].generalise(line, words);
                id
            }
            None if clusters.len() >= limits::PATTERNS_MAX || members.len() >= limits::PATTERN_BUCKET_MAX => {
                PatternId::OTHER
            }
            None => {
                let id = PatternId(clusters.len() as u32 + 1);
                clusters.push(Cluster::new(id, bucket, line, words));
                members.push(id);
                id
            }
        };
        if self.exact.len() >= EXACT_MAX {
            self.exact.clear();
        }
        self.exact.insert(exact, id);
        id
    }
}

/// The bucket of a line, and the hash of its whole masked form.
fn keys(line: &[u8], cut: &Cut) -> (u64, u64) {
    let (mut bucket, mut exact) = (Xxh3::new(), Xxh3::new());
    let mut last = 0;
    for word in &cut.words {
        bucket.update(&line[last..word.start]);
        bucket.update(b"\xff");
        exact.update(&line[last..word.start]);
        exact.update(if word.varies { b"\xff" } else { &line[word.start..word.end] });
        exact.update(b"\xfe");
        last = word.end;
    }
    bucket.update(&line[last..cut.len]);
    exact.update(&line[last..cut.len]);
    if let Some(first) = cut.words.first().filter(|w| !w.varies) {
        bucket.update(&line[first.start..first.end]);
    }
    let tail = [u8::from(cut.truncated)];
    bucket.update(&tail);
    exact.update(&tail);
    (bucket.digest(), exact.digest())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn seen(ts_ns: i64, version: Option<&str>) -> Seen<'_> {
        Seen { ts_ns, version, environment: None, service: None }
    }

    /// Mines the lines and gives the templates in order of appearance, with counts.
    fn mine(lines: &[&str]) -> Vec<String> {
        let mut miner = Miner::default();
        let mut counts: std::collections::BTreeMap<PatternId, usize> = std::collections::BTreeMap::new();
        for line in lines {
            *counts.entry(miner.observe(line.as_bytes(), None, seen(0, None))).or_default() += 1;
        }
        counts.iter().map(|(id, n)| format!("{n} {}", miner.registry.info(*id).unwrap().template)).collect()
    }

    #[test]
    fn templates() {
        for (lines, expect) in [
            (&["user 17 logged in", "user 4711 logged in"][..], &["2 user <_> logged in"][..]),
            (&["took 3.5ms", "took 12ms", "took -4ms"], &["3 took <_>"]),
            (&["from 10.0.0.1:80 to ::1", "from 10.0.0.2:8080 to ::2"], &["2 from <_> to ::<_>"]),
            (&["2026-01-01T10:00:00.123Z started", "2026-01-02T10:00:00.999+01:00 started"], &["2 <_> started"]),
            (
                &["req 550e8400-e29b-41d4-a716-446655440000 done", "req abcdefab-cdef-abcd-efab-cdefabcdefab done"],
                &["2 req <_> done"],
            ),
            (&["GET /a/b?x=1 HTTP/1.1", "GET /c HTTP/2.0"], &["2 GET <_> HTTP/<_>"]),
            (&["see https://a.b/c?d=e.", "see http://x."], &["2 see <_>."]),
            (&["a=1, b=x", "a=2, b=x"], &["2 a=<_>, b=x"]),
            // One word of four differs: similar. One of two: not.
            (&["cannot open file alpha now", "cannot open file beta now"], &["2 cannot open file <_> now"]),
            (&["login ok", "login failed"], &["1 login ok", "1 login failed"]),
            // A template does not drift away from what it began with.
            (
                &["one two three four five six seven", "one two three x five six y", "one two z x v six y"],
                &["2 one two three <_> five six <_>", "1 one two z x v six y"],
            ),
            (&["", ""], &["2 "]),
            (&["---", "---"], &["2 ---"]),
        ] {
            assert_eq!(mine(lines), expect, "{lines:?}");
        }
    }

    #[test]
    fn long_lines_end_in_a_wildcard_and_invalid_bytes_vary() {
        let long = format!("start {}", "word ".repeat(1000));
        let templates = mine(&[&long, &format!("{long} tail")]);
        assert_eq!(templates.len(), 1);
        assert!(templates[0].starts_with("2 start word word") && templates[0].ends_with("<_>"), "{}", templates[0]);
        let mut miner = Miner::default();
        let id = miner.observe(b"bad \xff\xfe byte", None, seen(0, None));
        assert_eq!(miner.registry.info(id).unwrap().template, "bad <_> byte");
    }

    #[test]
    fn the_registry_resumes_with_the_same_ids() {
        let mut miner = Miner::default();
        let lines = ["a 1 b", "cannot open file alpha now", "cannot open file beta now", "x y"];
        let ids: Vec<_> = lines.iter().map(|l| miner.observe(l.as_bytes(), None, seen(5, Some("v1")))).collect();
        let saved = miner.registry.save();
        let mut again = Miner::resume(Registry::load(&saved).unwrap());
        let same: Vec<_> = lines.iter().map(|l| again.observe(l.as_bytes(), None, seen(9, Some("v2")))).collect();
        assert_eq!(ids, same);
        let info = again.registry.info(ids[1]).unwrap();
        assert_eq!(info.aliases, ["cannot open file alpha now"]);
        assert_eq!(info.first_seen.version.as_deref(), Some("v1"));
        assert_eq!(info.versions, [("v1".to_owned(), 5), ("v2".to_owned(), 9)]);
    }

    #[test]
    fn a_full_bucket_counts_under_other() {
        let mut miner = Miner::default();
        let word = |i: usize| (0..6).map(|k| char::from(b'a' + ((i >> (3 * k)) & 7) as u8)).collect::<String>();
        let ids: Vec<_> = (0..=limits::PATTERN_BUCKET_MAX)
            .map(|i| miner.observe(format!("go {} {}", word(i), word(i)).as_bytes(), None, seen(0, None)))
            .collect();
        assert_eq!(ids.last(), Some(&PatternId::OTHER));
        assert_eq!(ids.iter().filter(|id| **id == PatternId::OTHER).count(), 1);
    }
}
