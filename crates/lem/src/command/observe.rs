//! `lem query`, `lem logs`, `lem alerts`, `lem silence`: what the running loop measures, logs and alerts.

use crate::cli::observe::{Logs, Query, Silence};
use crate::cli::{Cli, Output};
use crate::client::Client;
use crate::exit::{Failure, usage};
use crate::print::{document, field, rows, table};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use lem_engine_promql::number::parse_duration_ms;
use lem_model::fact::SilenceMatcher;
use lem_observe::notify::matcher::{self, LabelMatcher};
use serde_json::{Value, json};
use std::path::Path;

fn client(directory: &Path) -> Result<Client, Failure> {
    Client::of(&Settings::read(directory, None)?)
}

/// A duration as every flag takes it: `90s`, `2h`, `1d`.
fn duration(text: &str) -> Result<SignedDuration, Failure> {
    let ms = parse_duration_ms(text).map_err(|why| usage(format!("{text:?} is no duration: {why}")))?;
    if ms <= 0 {
        return Err(usage(format!("{text:?} is no time at all; write one such as 30m")));
    }
    Ok(SignedDuration::from_millis(ms))
}

fn ago(now: Timestamp, text: &str) -> Result<Timestamp, Failure> {
    now.checked_sub(duration(text)?).map_err(|_| usage(format!("{text} ago is before all time")))
}

/// `name{a="b"}` of a result.
fn series(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten().filter(|(name, _)| *name != "__name__");
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    let name = metric["__name__"].as_str().unwrap_or_default();
    if labels.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(", ")) }
}

fn at(seconds: &Value) -> String {
    let ms = (seconds.as_f64().unwrap_or_default() * 1000.0) as i64;
    Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}

fn results(data: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = data["resultType"].as_str().unwrap_or_default();
    if kind == "scalar" || kind == "string" {
        return format!("{}\n", text(&data["result"][1]));
    }
    let found = data["result"].as_array().map(Vec::as_slice).unwrap_or_default();
    if found.is_empty() {
        return "nothing matches\n".to_owned();
    }
    if kind == "vector" {
        let rows: Vec<_> = found.iter().map(|one| vec![series(&one["metric"]), text(&one["value"][1])]).collect();
        return table(&["SERIES", "VALUE"], &rows);
    }
    let mut out = String::new();
    for one in found {
        out += &format!("{}\n", series(&one["metric"]));
        for pair in one["values"].as_array().into_iter().flatten() {
            out += &format!("  {}  {}\n", at(&pair[0]), text(&pair[1]));
        }
    }
    out
}

/// `lem query`.
pub(crate) async fn query(cli: &Cli, asked: &Query, directory: &Path) -> Result<(), Failure> {
    let client = client(directory)?;
    let mut pairs = vec![("query", asked.expr.clone())];
    let path = if let Some(since) = &asked.since {
        let now = Timestamp::now();
        pairs.push(("start", ago(now, since)?.to_string()));
        pairs.push(("end", now.to_string()));
        pairs.push(("step", asked.step.clone()));
        "/api/v1/query_range"
    } else {
        pairs.extend(asked.time.clone().map(|time| ("time", time)));
        "/api/v1/query"
    };
    let answer = client.get(path, &pairs).await?;
    document(cli.output, &answer["data"], results);
    Ok(())
}

fn line(line: &Value) -> String {
    let service = field(line, "labels.service_name");
    format!("{}  {service}  {}\n", field(line, "at"), field(line, "line"))
}

/// `lem logs`.
pub(crate) async fn logs(cli: &Cli, asked: &Logs, directory: &Path) -> Result<(), Failure> {
    let client = client(directory)?;
    let now = Timestamp::now();
    let pairs = [
        ("query", asked.query.clone()),
        ("start", ago(now, &asked.since)?.to_string()),
        ("end", now.to_string()),
        ("limit", asked.limit.to_string()),
    ];
    let answer = client.get("/api/v1/logs", &pairs).await?;
    // The newest were asked for; people read downwards.
    let mut lines = answer["lines"].as_array().cloned().unwrap_or_default();
    lines.reverse();
    let form = if asked.follow && cli.output == Output::Json { Output::Ndjson } else { cli.output };
    document(form, &Value::Array(lines), |all| all.as_array().into_iter().flatten().map(line).collect());
    if !asked.follow {
        return Ok(());
    }
    client
        .events("/api/v1/logs/tail", &[("query", asked.query.clone())], |name, data| {
            let Ok(data) = serde_json::from_str::<Value>(data) else {
                eprintln!("{name}: {data}");
                return;
            };
            document(form, &data["lines"], |all| all.as_array().into_iter().flatten().map(line).collect());
        })
        .await
}

/// `lem alerts`.
pub(crate) async fn alerts(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    let client = client(directory)?;
    let rules = client.get("/api/v1/alerts", &[]).await?;
    let told = client.get("/api/v2/alerts", &[]).await?;
    let told = told.as_array().cloned().unwrap_or_default();
    let mut alerts = rules["data"]["alerts"].as_array().cloned().unwrap_or_default();
    for alert in &mut alerts {
        let same = told.iter().find(|t| t["labels"] == alert["labels"]);
        alert["status"] = same.map_or(Value::Null, |t| t["status"].clone());
        alert["receivers"] = same.map_or(Value::Null, |t| t["receivers"].clone());
    }
    document(cli.output, &Value::Array(alerts), |all| {
        let rows: Vec<_> = all.as_array().into_iter().flatten().map(alert_row).collect();
        if rows.is_empty() {
            "no alert\n".to_owned()
        } else {
            table(&["ALERT", "STATE", "SINCE", "TOLD", "LABELS"], &rows)
        }
    });
    Ok(())
}

fn alert_row(alert: &Value) -> Vec<String> {
    let others = alert["labels"].as_object().into_iter().flatten().filter(|(name, _)| *name != "alertname");
    let labels: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
    let receivers = alert["receivers"].as_array().into_iter().flatten().filter_map(|r| r["name"].as_str());
    let told = match alert["status"]["state"].as_str() {
        Some("suppressed") => "silenced or inhibited".to_owned(),
        Some(_) => receivers.collect::<Vec<_>>().join(", "),
        None => "-".to_owned(),
    };
    vec![field(alert, "labels.alertname"), field(alert, "state"), field(alert, "activeAt"), told, labels.join(" ")]
}

/// `lem silence`.
pub(crate) async fn silence(cli: &Cli, asked: &Silence, directory: &Path) -> Result<(), Failure> {
    let client = client(directory)?;
    match asked {
        Silence::List { expired } => {
            let mut all = client.get("/api/v2/silences", &[]).await?;
            if let Some(all) = all.as_array_mut() {
                all.retain(|s| *expired || s["status"]["state"] != "expired");
                for silence in all {
                    silence["matching"] = matching(&silence["matchers"]).into();
                }
            }
            let keys = ["id", "status.state", "endsAt", "createdBy", "matching", "comment"];
            document(cli.output, &all, |all| {
                rows(all, &["SILENCE", "STATE", "UNTIL", "BY", "MATCHERS", "COMMENT"], &keys)
            });
        }
        Silence::Add { matchers, duration: length, comment, author } => {
            let now = Timestamp::now();
            let until = now.checked_add(duration(length)?).map_err(|_| usage(format!("{length} is too long")))?;
            let body = json!({
                "matchers": parsed(matchers)?,
                "startsAt": now.to_string(),
                "endsAt": until.to_string(),
                "createdBy": author.clone().unwrap_or_else(whoami),
                "comment": comment,
            });
            let answer = client.post("/api/v2/silences", &body).await?;
            document(cli.output, &answer, |answer| format!("{}\n", field(answer, "silenceID")));
        }
        Silence::Expire { id } => client.delete(&format!("/api/v2/silence/{id}")).await?,
    }
    Ok(())
}

fn whoami() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "command line".to_owned())
}

/// `alertname="A" severity=~"page|ticket"`.
fn matching(matchers: &Value) -> String {
    let matchers: Vec<SilenceMatcher> = serde_json::from_value(matchers.clone()).unwrap_or_default();
    let texts = matchers.iter().filter_map(|m| LabelMatcher::of_silence(m).ok()).map(|m| m.to_string());
    texts.collect::<Vec<_>>().join(" ")
}

fn parsed(matchers: &[String]) -> Result<Value, Failure> {
    let mut all = vec![];
    for text in matchers {
        for matcher in matcher::parse(text).map_err(usage)? {
            all.push(json!(matcher.as_silence()));
        }
    }
    Ok(Value::Array(all))
}
