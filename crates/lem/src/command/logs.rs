//! `lem logs`.

use crate::cli::Cli;
use crate::client::{Api, escape};
use crate::exit::{Failure, unreachable, usage};
use crate::print::{document, field, rows};
use futures::StreamExt;
use serde_json::Value;

/// Lines, patterns, or lines as they come.
pub(crate) async fn logs(
    cli: &Cli,
    api: &Api,
    query: &str,
    tail: bool,
    since: &str,
    limit: u32,
    patterns: bool,
) -> Result<(), Failure> {
    let ms = lem_engine_yaml::parse_duration_ms(since)
        .ok_or_else(|| usage(format!("{since:?} is no duration such as 30m")))?;
    let back = jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let start = jiff::Timestamp::now().checked_sub(back).map_err(|e| usage(e.to_string()))?;
    if patterns {
        let found = api.get(&format!("/api/v1/logs/patterns?start={start}")).await?;
        document(cli.output, &found, |v| {
            rows(
                v,
                &["COUNT", "SEVERITY", "FIRST SEEN IN", "PATTERN"],
                &["count", "severity", "firstVersion", "template"],
            )
        });
        return Ok(());
    }
    if tail {
        return follow(api, query).await;
    }
    let path = format!("/api/v1/logs?query={}&start={start}&limit={limit}&direction=backward", escape(query));
    let answer = api.get(&path).await?;
    let mut lines = answer.get("lines").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
    lines.reverse();
    document(cli.output, &Value::Array(lines), |v| {
        let text = v.as_array().into_iter().flatten().map(line).collect::<String>();
        if text.is_empty() { "no lines\n".to_owned() } else { text }
    });
    Ok(())
}

fn line(entry: &Value) -> String {
    let service = field(entry, "labels.service_name");
    let version = field(entry, "labels.service_version");
    format!("{} {service} {version} {}\n", field(entry, "at"), field(entry, "line"))
}

async fn follow(api: &Api, query: &str) -> Result<(), Failure> {
    let response = api.stream(&format!("/api/v1/logs/tail?query={}", escape(query)), "text/event-stream").await?;
    let mut stream = response.bytes_stream();
    let mut buffer = String::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| unreachable(e.to_string()))?;
        buffer.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = buffer.find('\n') {
            let data =
                buffer[..end].strip_prefix("data:").map(str::trim).and_then(|d| serde_json::from_str::<Value>(d).ok());
            if let Some(entry) = data {
                print!("{}", line(&entry));
            }
            buffer.drain(..=end);
        }
    }
    Ok(())
}
