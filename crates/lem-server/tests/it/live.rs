//! Live streams: resumed where they broke, limited in number, ended with the server.

use crate::client::{Messages, Running, merged, problem};
use serde_json::Value;

fn seq(data: &str) -> u64 {
    serde_json::from_str::<Value>(data).unwrap()["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn a_stream_resumes_where_it_broke() {
    let server = Running::start().await;
    for letter in ['a', 'b', 'c'] {
        server.record(&merged(letter, "feat: x")).await;
    }
    let mut messages = Messages::open(server.get("/api/v1/events?from=1")).await;
    let first = messages.next().await.unwrap();
    assert_eq!((first.id.as_str(), seq(&first.data)), ("1", 1));
    drop(messages);
    server.record(&merged('d', "feat: y")).await;
    // `Last-Event-ID` wins over where the client once began.
    let again = server.get("/api/v1/events?from=1").header("last-event-id", &first.id);
    let mut messages = Messages::open(again).await;
    assert_eq!(messages.next().await.unwrap().id, "2");
    assert_eq!(messages.next().await.unwrap().id, "3");
    server.record(&merged('e', "feat: z")).await;
    let live = messages.next().await.unwrap();
    assert_eq!(seq(&live.data), 4);
    // Who hears of an event sees it on the pages.
    let changes = server.json("/api/v1/changes").await;
    assert_eq!(changes[0]["subject"], "feat: z");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_filtered_and_begins_with_what_comes() {
    let server = Running::start().await;
    let old = server.record(&merged('a', "feat: old")).await;
    server.shows(old).await;
    let mut messages = Messages::open(server.get("/api/v1/events?type=change.merged")).await;
    let new = server.record(&merged('b', "feat: new")).await;
    assert_eq!(messages.next().await.unwrap().id, new.to_string());
    server.stop().await;
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let server = Running::start().await;
    let mut events = Messages::open(server.get("/api/v1/events?from=0")).await;
    let mut lines = Messages::open(server.get("/api/v1/logs/tail?query=%7Bapp%3D%22shop%22%7D")).await;
    server.tell_to_stop();
    assert_eq!(events.next().await, None);
    assert_eq!(lines.next().await, None);
    server.stop().await;
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let server = Running::start().await;
    let mut open = vec![];
    for _ in 0..lem_server::STREAMS_MAX {
        open.push(Messages::open(server.get("/api/v1/events?from=0")).await);
    }
    let one_more = server.get("/api/v1/events?from=0").header("accept", "text/event-stream");
    let answer = one_more.try_clone().unwrap().send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "10"));
    problem(one_more, 503, "too-many-streams").await;
    server.stop().await;
}
