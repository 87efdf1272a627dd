//! What every event log must do, whatever keeps it. Each check gets a fresh, empty log.

use jiff::{SignedDuration, Timestamp};
use lem_ledger::tree::{verify_consistency, verify_inclusion};
use lem_ledger::{Consumer, Erasure, EventLog, Filter, Kept, LedgerError, MAX_BATCH, ProofOf};
use lem_model::{EventType, NewEvent};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// An event with little in it. Every third belongs to chain `c1`; types alternate.
pub fn sample_event(n: u64) -> NewEvent {
    let types = ["dev.cdevents.pipelinerun.finished.0.3.0", "dev.cdeventsx.lem-alert.fired.0.1.0"];
    let kind = types[(n % 2) as usize];
    let time = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(n as i64 * 500);
    let (id, subject) = (format!("e{n}"), format!("s{}", n % 5));
    let payload = json!({
        "context": {"specversion": "0.5.1", "id": id, "source": "/test", "type": kind, "timestamp": time.to_string()},
        "subject": {"id": subject, "content": {"n": n, "text": "ü \"quoted\" \u{1}"}},
    });
    NewEvent {
        id,
        kind: EventType::new(kind),
        time_occurred: time,
        source: "/test".into(),
        subject,
        chain: n.is_multiple_of(3).then(|| "c1".to_owned()),
        payload,
    }
}

/// The first `count` sample events from `from` on.
pub fn sample_events(from: u64, count: u64) -> Vec<NewEvent> {
    (from..from + count).map(sample_event).collect()
}

async fn seqs(log: &dyn EventLog, filter: &Filter) -> Vec<u64> {
    log.read(0, filter, 1000).await.expect("reads").into_iter().map(|e| e.seq).collect()
}

/// Runs every check, each on a log of its own.
pub async fn ledger_conformance<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn EventLog>>,
{
    keeps_what_is_appended(make().await).await;
    is_idempotent(make().await).await;
    filters(make().await).await;
    refuses_what_it_cannot_keep(make().await).await;
    follows_from_a_durable_cursor(make().await).await;
    wakes_who_waits(make().await).await;
    proves(make().await).await;
    erases(make().await).await;
    takes_many_at_once(make().await).await;
}

async fn keeps_what_is_appended(log: Arc<dyn EventLog>) {
    assert_eq!(log.size().await.expect("size"), 0);
    assert!(log.append(vec![]).await.expect("nothing is fine").is_empty());
    let answers = log.append(sample_events(0, 10)).await.expect("appends");
    assert_eq!(
        answers.iter().map(|a| (a.seq, a.kept)).collect::<Vec<_>>(),
        (0..10).map(|s| (s, Kept::New)).collect::<Vec<_>>()
    );
    let events = log.read(0, &Filter::all(), 100).await.expect("reads");
    for (event, sent) in events.iter().zip(sample_events(0, 10)) {
        assert_eq!(
            (&event.id, &event.kind, event.time_occurred, &event.source, &event.subject, &event.chain, &event.payload),
            (&sent.id, &sent.kind, sent.time_occurred, &sent.source, &sent.subject, &sent.chain, &sent.payload)
        );
    }
    assert_eq!(events.len(), 10);
    assert_eq!(log.read(7, &Filter::all(), 2).await.expect("reads").iter().map(|e| e.seq).collect::<Vec<_>>(), [7, 8]);
    assert!(log.read(u64::MAX, &Filter::all(), 2).await.expect("reads").is_empty());
}

async fn is_idempotent(log: Arc<dyn EventLog>) {
    let mut other = sample_event(1);
    other.payload["subject"]["content"]["n"] = json!(99);
    let elsewhere = NewEvent { source: "/other".into(), ..sample_event(1) };
    let batch = vec![sample_event(1), sample_event(1), other.clone(), elsewhere];
    let answers = log.append(batch).await.expect("appends");
    let kept: Vec<_> = answers.iter().map(|a| (a.seq, a.kept)).collect();
    assert_eq!(kept, [(0, Kept::New), (0, Kept::Duplicate), (0, Kept::Conflict), (1, Kept::New)]);
    let again = log.append(vec![sample_event(1), other.clone()]).await.expect("appends");
    assert_eq!(again.iter().map(|a| a.kept).collect::<Vec<_>>(), [Kept::Duplicate, Kept::Conflict]);
    assert_eq!(log.size().await.expect("size"), 2);
    let inbox = log.inbox().await.expect("inbox");
    assert_eq!(inbox.len(), 1, "the other version is kept once");
    assert_eq!((inbox[0].seq, &inbox[0].event), (0, &other));
}

async fn filters(log: Arc<dyn EventLog>) {
    log.append(sample_events(0, 12)).await.expect("appends");
    let at = |n: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(n * 500);
    for (filter, expect) in [
        (Filter::all(), (0..12).collect()),
        (Filter::types(["pipelinerun.finished"]), vec![0, 2, 4, 6, 8, 10]),
        (Filter::types(["dev.cdeventsx.lem-alert.fired.0.1.0"]), vec![1, 3, 5, 7, 9, 11]),
        (Filter::types(["pipelinerun.finished", "alert.fired"]), (0..12).collect()),
        (Filter::types(["nothing.happened"]), vec![]),
        (Filter::all().subject("s2"), vec![2, 7]),
        (Filter::all().chain("c1"), vec![0, 3, 6, 9]),
        (Filter::all().source("/elsewhere"), vec![]),
        (Filter::all().between(at(3), at(6)), vec![3, 4, 5]),
        (Filter::types(["alert.fired"]).chain("c1").source("/test").between(at(0), at(5)), vec![3]),
    ] {
        assert_eq!(seqs(log.as_ref(), &filter).await, expect, "{filter:?}");
        let events = log.read(0, &Filter::all(), 100).await.expect("reads");
        assert_eq!(
            events.iter().filter(|e| filter.matches(e)).map(|e| e.seq).collect::<Vec<_>>(),
            expect,
            "{filter:?}"
        );
    }
}

async fn refuses_what_it_cannot_keep(log: Arc<dyn EventLog>) {
    let no_id = NewEvent { id: String::new(), ..sample_event(0) };
    assert!(matches!(log.append(vec![sample_event(5), no_id]).await, Err(LedgerError::Invalid { .. })));
    let many = log.append(sample_events(0, MAX_BATCH as u64 + 1)).await;
    assert!(matches!(many, Err(LedgerError::TooMuch { .. })));
    assert_eq!(log.size().await.expect("size"), 0, "all or nothing");
    assert!(matches!(log.prove(ProofOf::Inclusion { seq: 0, size: 1 }).await, Err(LedgerError::NoSuchEvent { .. })));
}

async fn follows_from_a_durable_cursor(log: Arc<dyn EventLog>) {
    log.append(sample_events(0, 600)).await.expect("appends");
    let who = Consumer::new("follower");
    let mut first = log.subscribe(&who, Filter::types(["alert.fired"])).await.expect("subscribes");
    for expect in [1, 3, 5] {
        let event = first.next().await.expect("an event");
        assert_eq!(event.seq, expect);
        if expect < 5 {
            first.ack(event.seq).await.expect("acknowledges");
        }
    }
    drop(first);
    let mut again = log.subscribe(&who, Filter::types(["alert.fired"])).await.expect("subscribes");
    let mut seen = Vec::new();
    while let Some(event) = again.try_next().await.expect("reads") {
        seen.push(event.seq);
    }
    assert_eq!(seen, (5..600).step_by(2).collect::<Vec<_>>(), "what was not acknowledged comes again");
    again.ack(599).await.expect("acknowledges");
    again.ack(3).await.expect("never goes back");
    let mut last = log.subscribe(&who, Filter::all()).await.expect("subscribes");
    assert!(last.try_next().await.expect("reads").is_none());
}

async fn wakes_who_waits(log: Arc<dyn EventLog>) {
    let mut follower = log.subscribe(&Consumer::new("waiter"), Filter::all().subject("s3")).await.expect("subscribes");
    let waiting = tokio::spawn(async move { follower.next().await.map(|e| e.seq) });
    for n in 0..5 {
        log.append(sample_events(n, 1)).await.expect("appends");
    }
    let seq = tokio::time::timeout(PATIENCE, waiting).await.expect("wakes").expect("no panic").expect("an event");
    assert_eq!(seq, 3);
}

async fn proves(log: Arc<dyn EventLog>) {
    let mut trees = vec![log.checkpoint().await.expect("an empty tree has a root too")];
    let mut from = 0;
    for count in [1, 2, 253, 1, 300, 4000] {
        log.append(sample_events(from, count)).await.expect("appends");
        from += count;
        trees.push(log.checkpoint().await.expect("signs"));
    }
    assert_eq!(trees.iter().map(|t| t.size).collect::<Vec<_>>(), [0, 1, 3, 256, 257, 557, 4557]);
    for (i, new) in trees.iter().enumerate() {
        for old in &trees[..=i] {
            let proof = log.prove(ProofOf::Consistency { from: old.size, to: new.size }).await.expect("proves");
            assert!(
                verify_consistency(old.size, new.size, &proof.path, &old.root, &new.root),
                "{} {}",
                old.size,
                new.size
            );
        }
    }
    // Without knowing how a log makes its leaves, the leaf of a tree of one is its root.
    let leaf = trees[1].root;
    for tree in &trees[1..] {
        let proof = log.prove(ProofOf::Inclusion { seq: 0, size: tree.size }).await.expect("proves");
        assert!(verify_inclusion(&leaf, 0, tree.size, &proof.path, &tree.root), "{}", tree.size);
    }
    let again = log.checkpoint().await.expect("signs");
    assert_eq!(again.note, trees[6].note, "the same tree has one checkpoint");
}

async fn erases(log: Arc<dyn EventLog>) {
    log.append(sample_events(0, 3)).await.expect("appends");
    let before = log.checkpoint().await.expect("signs");
    let why = Erasure { reason: "a name was in it".into(), by: "person:ann".into() };
    let at = log.erase(1, &why).await.expect("erases");
    assert_eq!(at, 3);
    let events = log.read(0, &Filter::all(), 10).await.expect("reads");
    assert!(events[1].payload.is_null() && !events[0].payload.is_null());
    assert_eq!(events[3].kind.short(), "payload.erased");
    assert_eq!(events[3].content().expect("content")["seq"], 1);
    let after = log.checkpoint().await.expect("signs");
    let proof = log.prove(ProofOf::Consistency { from: 3, to: 4 }).await.expect("proves");
    assert!(verify_consistency(3, 4, &proof.path, &before.root, &after.root), "proofs stay valid");
    assert!(log.erase(1, &why).await.is_err(), "once");
    assert!(matches!(log.erase(77, &why).await, Err(LedgerError::NoSuchEvent { .. })));
    assert_eq!(log.size().await.expect("size"), 4);
}

async fn takes_many_at_once(log: Arc<dyn EventLog>) {
    let tasks: Vec<_> = (0..20)
        .map(|t| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.append(sample_events(t * 50, 60)).await })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        let answers = task.await.expect("no panic").expect("appends");
        new += answers.iter().filter(|a| a.kept == Kept::New).count();
    }
    assert_eq!(new, 1010, "overlapping batches are each kept once");
    assert_eq!(seqs(log.as_ref(), &Filter::all()).await, (0..1000).collect::<Vec<_>>());
}
