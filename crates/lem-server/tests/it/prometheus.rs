//! The HTTP API of Prometheus, byte for byte where clients look.

use crate::client::{Running, expect, form, samples};
use async_trait::async_trait;
use jiff::Timestamp;
use lem_engine_promql::{Labels, Matcher, Querier};
use lem_server::port::{ActiveAlert, Ask, Metadata, Metrics, PartError, Rule, RuleGroup, Target, Watching};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

async fn text(server: &Running, path: &str) -> (u16, String) {
    let answer = server.get(path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn answers_are_written_as_the_reference_writes_them() {
    let server = Running::start().await;
    for (path, expected) in [
        ("/api/v1/query?query=1%2B1&time=1435781451.781", r#"{"resultType":"scalar","result":[1435781451.781,"2"]}"#),
        (
            "/api/v1/query?query=%22x%22&time=2015-07-01T20:10:51Z",
            r#"{"resultType":"string","result":[1435781451,"x"]}"#,
        ),
        (
            "/api/v1/query?query=up%7Binstance%3D%22a:1%22%7D&time=1100",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a:1","job":"shop"},"value":[1100,"1"]}]}"#,
        ),
        ("/api/v1/query?query=nothing", r#"{"resultType":"vector","result":[]}"#),
        (
            "/api/v1/query_range?query=sum(up)&start=1000&end=1030&step=15s",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1000,"1"],[1015,"1"],[1030,"1"]]}]}"#,
        ),
        (
            "/api/v1/query?query=up%7Binstance%3D%22b:2%22%7D%5B20s%5D&time=1015",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"b:2","job":"shop"},"values":[[1000,"0"],[1015,"0"]]}]}"#,
        ),
        ("/prometheus/api/v1/query?query=1%2F0&time=0", r#"{"resultType":"scalar","result":[0,"+Inf"]}"#),
        ("/api/v1/labels", r#"["__name__","instance","job"]"#),
        ("/api/v1/label/instance/values", r#"["a:1","b:2"]"#),
        ("/api/v1/label/instance/values?match[]=up%7Binstance!%3D%22a:1%22%7D", r#"["b:2"]"#),
        ("/api/v1/label/nothing/values", "[]"),
        (
            "/api/v1/series?match[]=up%7Binstance%3D~%22a.*%22%7D&match[]=nothing",
            r#"[{"__name__":"up","instance":"a:1","job":"shop"}]"#,
        ),
        ("/api/v1/series?match[]=up&end=10", "[]"),
        ("/api/v1/format_query?query=foo%2Fbar", r#""foo / bar""#),
        ("/api/v1/query_exemplars?query=up&start=0&end=1", "[]"),
    ] {
        let expected = format!(r#"{{"status":"success","data":{expected}}}"#);
        assert_eq!(text(&server, path).await, (200, expected), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn errors_have_a_type_and_the_references_words() {
    let server = Running::start().await;
    for (path, status, kind, message) in [
        (
            "/api/v1/query",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:1: parse error: no expression found in input"#,
        ),
        (
            "/api/v1/query?query=up%20up",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:4: parse error: unexpected identifier "up""#,
        ),
        (
            "/api/v1/query?query=1&time=x",
            400,
            "bad_data",
            r#"invalid parameter "time": cannot parse "x" to a valid timestamp"#,
        ),
        (
            "/api/v1/query_range?query=1&start=1&end=2",
            400,
            "bad_data",
            r#"invalid parameter "step": cannot parse "" to a valid duration"#,
        ),
        (
            "/api/v1/query_range?query=1&start=2&end=1&step=1",
            400,
            "bad_data",
            r#"invalid parameter "end": end timestamp must not be before start time"#,
        ),
        (
            "/api/v1/query_range?query=1&start=1&end=2&step=0",
            400,
            "bad_data",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            "/api/v1/query_range?query=1&start=0&end=11001&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        ("/api/v1/query?query=up%20%2B%20on(job)%20up&time=1100", 422, "execution", "many-to-many"),
        (
            "/api/v1/query?query=1&timeout=x",
            400,
            "bad_data",
            r#"invalid parameter "timeout": cannot parse "x" to a valid duration"#,
        ),
        ("/api/v1/query?query=up&timeout=0s", 503, "timeout", "query timed out"),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/labels?match[]=%7B", 400, "bad_data", r#"invalid parameter "match[]": 1:2: parse error"#),
        ("/api/v1/labels?limit=-1", 400, "bad_data", r#"invalid parameter "limit": limit must be non-negative"#),
        ("/api/v1/rules?type=alert", 501, "unavailable", "not set up"),
    ] {
        let answer = server.get(path).send().await.unwrap();
        let have = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (have, &body["status"], &body["errorType"]),
            (status, &"error".into(), &kind.into()),
            "{path}: {body}"
        );
        assert!(body["error"].as_str().unwrap().contains(message), "{path}: {body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn long_queries_come_as_forms_and_need_no_token() {
    let server = Running::start().await;
    let long = format!("sum(up{{instance!=\"{}\"}})", "x".repeat(20_000));
    let pairs = [("query", long.as_str()), ("time", "1100")];
    let answer = expect(form(server.bare_post("/api/v1/query"), &pairs), 200).await;
    assert_eq!(answer["data"]["resultType"], "vector");
    let pairs = [("query", "up"), ("start", "1000"), ("end", "1030"), ("step", "15")];
    let answer = expect(form(server.bare_post("/api/v1/query_range"), &pairs), 200).await;
    assert_eq!(answer["data"]["result"].as_array().unwrap().len(), 2);
    let answer = expect(form(server.bare_post("/api/v1/series"), &[("match[]", "up")]), 200).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert_eq!(expect(form(server.bare_post("/api/v1/labels"), &[("a", "b")]), 200).await["data"][0], "__name__");
    server.stop().await;
}

#[tokio::test]
async fn a_limit_leaves_out_and_warns() {
    let server = Running::start().await;
    for path in ["/api/v1/query?query=up&time=1100&limit=1", "/api/v1/label/instance/values?limit=1"] {
        let answer = server.json(path).await;
        assert_eq!(answer["warnings"], json!(["results truncated due to limit"]), "{path}");
    }
    server.stop().await;
}

/// Rules and targets as the stage would say them.
struct Watched;

impl Watching for Watched {
    fn rules(&self) -> Vec<RuleGroup> {
        let at = Timestamp::UNIX_EPOCH.into();
        let alert = ActiveAlert {
            labels: labels(&[("alertname", "Down"), ("instance", "b:2")]),
            annotations: labels(&[("summary", "b:2 is down")]),
            state: "firing".into(),
            active_at: at,
            value: "0e+00".into(),
        };
        let alerting = Rule::Alerting {
            state: "firing".into(),
            name: "Down".into(),
            query: "up == 0".into(),
            duration: 60.0,
            keep_firing_for: 0.0,
            labels: labels(&[]),
            annotations: labels(&[("summary", "{{ $labels.instance }} is down")]),
            alerts: vec![alert],
            health: "ok".into(),
            last_error: None,
            evaluation_time: 0.001,
            last_evaluation: at,
        };
        let recording = Rule::Recording {
            name: "job:up:sum".into(),
            query: "sum by (job) (up)".into(),
            labels: labels(&[]),
            health: "err".into(),
            last_error: Some("it failed".into()),
            evaluation_time: 0.0,
            last_evaluation: at,
        };
        vec![RuleGroup {
            name: "shop".into(),
            file: "rules.yml".into(),
            interval: 15.0,
            limit: 0,
            rules: vec![alerting, recording],
            evaluation_time: 0.002,
            last_evaluation: at,
        }]
    }

    fn targets(&self) -> Vec<Target> {
        vec![Target {
            discovered_labels: labels(&[("__address__", "a:1")]),
            labels: labels(&[("instance", "a:1"), ("job", "shop")]),
            scrape_pool: "shop".into(),
            scrape_url: "http://a:1/metrics".into(),
            global_url: "http://a:1/metrics".into(),
            last_error: String::new(),
            last_scrape: None,
            last_scrape_duration: 0.0,
            health: "unknown".into(),
            scrape_interval: "15s".into(),
            scrape_timeout: "10s".into(),
        }]
    }

    fn metadata(&self) -> BTreeMap<String, Vec<Metadata>> {
        let gauge = Metadata { kind: "gauge".into(), help: "Whether it is up.".into(), unit: String::new() };
        [("up".to_owned(), vec![gauge.clone(), gauge.clone()]), ("down".to_owned(), vec![gauge])].into()
    }
}

#[tokio::test]
async fn rules_alerts_targets_and_metadata() {
    let server = Running::with(|parts, _| parts.watching = Some(Arc::new(Watched))).await;
    let rules = server.json("/api/v1/rules").await;
    let group = &rules["data"]["groups"][0];
    assert_eq!((&group["name"], &group["interval"]), (&"shop".into(), &15.0.into()));
    let (alerting, recording) = (&group["rules"][0], &group["rules"][1]);
    assert_eq!(
        (&alerting["type"], &alerting["state"], &alerting["keepFiringFor"]),
        (&"alerting".into(), &"firing".into(), &0.0.into())
    );
    assert!(alerting.get("lastError").is_none());
    assert_eq!((&recording["type"], &recording["lastError"]), (&"recording".into(), &"it failed".into()));
    for (path, count) in [("type=alert", 1), ("type=record", 1), ("rule_name[]=Down", 1), ("rule_group[]=other", 0)] {
        let found = server.json(&format!("/api/v1/rules?{path}")).await;
        let rules: usize =
            found["data"]["groups"].as_array().unwrap().iter().map(|g| g["rules"].as_array().unwrap().len()).sum();
        assert_eq!(rules, count, "{path}");
    }
    let quiet = server.json("/api/v1/rules?exclude_alerts=true").await;
    assert_eq!(quiet["data"]["groups"][0]["rules"][0]["alerts"], json!([]));
    assert_eq!(
        server.json("/api/v1/alerts").await["data"]["alerts"],
        json!([{
            "labels": {"alertname": "Down", "instance": "b:2"}, "annotations": {"summary": "b:2 is down"},
            "state": "firing", "activeAt": "1970-01-01T00:00:00Z", "value": "0e+00",
        }])
    );
    let targets = server.json("/api/v1/targets").await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["scrapePool"], &target["lastScrape"]), (&"shop".into(), &"0001-01-01T00:00:00Z".into()));
    assert_eq!(targets["data"]["droppedTargets"], json!([]));
    let metadata = server.json("/api/v1/metadata?metric=up&limit_per_metric=1").await;
    assert_eq!(metadata["data"], json!({"up": [{"type": "gauge", "help": "Whether it is up.", "unit": ""}]}));
    let build = server.json("/api/v1/status/buildinfo").await;
    assert!(build["data"]["version"].as_str().unwrap().starts_with("3."), "{build}");
    server.stop().await;
}

/// A store whose catalogue cannot be read.
struct Broken(lem_engine_promql::MemoryQuerier);

#[async_trait]
impl Metrics for Broken {
    fn querier(&self) -> &dyn Querier {
        &self.0
    }
    async fn series(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, PartError> {
        Err(PartError::Failed("the disk is gone".into()))
    }
    async fn list(&self, _: &Ask, _: &[Matcher], _: i64, _: i64) -> Result<Vec<String>, PartError> {
        Err(PartError::Failed("the disk is gone".into()))
    }
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_of_the_server() {
    let server = Running::with(|parts, _| parts.metrics = Some(Arc::new(Broken(samples().0)))).await;
    for path in ["/api/v1/series?match[]=up", "/api/v1/labels"] {
        let body = expect(server.get(path), 500).await;
        assert_eq!((&body["errorType"], &body["error"]), (&"internal".into(), &"the disk is gone".into()));
    }
    server.stop().await;
}
