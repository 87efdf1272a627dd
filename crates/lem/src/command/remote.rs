//! Commands that ask a running server.

use crate::cli::{Cli, Command, RolloutRequest, Target};
use crate::client::{Api, escape};
use crate::exit::{Failure, negative, usage};
use crate::print::{document, field, rows};
use crate::{data_directory, root_of};
use serde_json::{Value, json};
use std::path::Path;

/// Runs one of them.
pub(crate) async fn remote(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    let api = Api::find(cli.server.clone(), cli.token.clone(), &data_directory(&root_of(directory)))?;
    let out = cli.output;
    match &cli.command {
        Command::Status { service } => status(cli, &api, service.as_deref()).await,
        Command::Deploy { sha, target, reason } => {
            let (service, environment) = chosen(&api, target).await?;
            let body = json!({"service": service, "environment": environment, "sha": sha, "reason": reason});
            accepted(cli, &api.post("/api/v1/deployments", &body).await?)
        }
        Command::Promote { rollout, full } => ask(cli, &api, rollout, "promote", json!({"full": full})).await,
        Command::Abort(rollout) => ask(cli, &api, rollout, "abort", json!({})).await,
        Command::Retry(rollout) => ask(cli, &api, rollout, "retry", json!({})).await,
        Command::Pause(rollout) => ask(cli, &api, rollout, "pause", json!({})).await,
        Command::Resume(rollout) => ask(cli, &api, rollout, "resume", json!({})).await,
        Command::Rollback { target, to, reason } => {
            let (service, environment) = chosen(&api, target).await?;
            let path = format!("/api/v1/services/{}/environments/{}/rollback", escape(&service), escape(&environment));
            accepted(cli, &api.post(&path, &json!({"reason": reason, "to": to})).await?)
        }
        Command::Freeze { scope, reason, duration } => {
            let until = duration.as_deref().map(until).transpose()?;
            let body = json!({"scope": scope, "reason": reason, "until": until});
            accepted(cli, &api.post("/api/v1/freezes", &body).await?)
        }
        Command::Unfreeze { scope, reason } => {
            accepted(cli, &api.delete("/api/v1/freezes", &json!({"scope": scope, "reason": reason})).await?)
        }
        Command::Notes { deployment } => {
            let rollout = rollout(&api, deployment.as_deref(), false).await?;
            let notes = field(&rollout, "notes");
            print!("{}", if notes == "-" { "no notes yet\n".to_owned() } else { notes });
            Ok(())
        }
        Command::Query { expr, since, step } => query(cli, &api, expr, since.as_deref(), step).await,
        Command::Logs { query, tail, since, limit, patterns } => {
            super::logs::logs(cli, &api, &query.join(" "), *tail, since, *limit, *patterns).await
        }
        Command::Alerts => {
            let answer = api.get("/api/v1/alerts").await?;
            let alerts = answer.pointer("/data/alerts").cloned().unwrap_or(json!([]));
            document(out, &alerts, |v| {
                rows(
                    v,
                    &["ALERT", "STATE", "SINCE", "SUMMARY"],
                    &["labels.alertname", "state", "activeAt", "annotations.summary"],
                )
            });
            Ok(())
        }
        Command::Incidents { incident, report, acknowledge, resolve } => {
            incidents(cli, &api, incident.as_deref(), *report, *acknowledge, resolve.as_deref()).await
        }
        Command::Why { incident, confirm, reject } => why(&api, incident.as_deref(), *confirm, *reject).await,
        Command::Dora { environment, days } => {
            let answer = api.get(&format!("/api/v1/dora?environment={}&days={days}", escape(environment))).await?;
            document(out, &answer, dora);
            Ok(())
        }
        _ => Err(usage("this command does not talk to a server")),
    }
}

fn accepted(cli: &Cli, answer: &Value) -> Result<(), Failure> {
    document(cli.output, answer, |v| format!("asked for; event {} says so\n", field(v, "seq")));
    Ok(())
}

async fn status(cli: &Cli, api: &Api, service: Option<&str>) -> Result<(), Failure> {
    let services = api.get("/api/v1/services").await?;
    let wanted = |s: &&Value| service.is_none_or(|name| s.get("service").and_then(Value::as_str) == Some(name));
    let found: Vec<Value> = services.as_array().into_iter().flatten().filter(wanted).cloned().collect();
    let mut places = vec![];
    for service in &found {
        for environment in service.get("environments").and_then(Value::as_array).into_iter().flatten() {
            let mut place = environment.clone();
            place["service"] = service["service"].clone();
            places.push(place);
        }
    }
    document(cli.output, &Value::Array(places), |v| {
        rows(
            v,
            &["SERVICE", "ENVIRONMENT", "VERSION", "HEALTH", "SINCE", "ROLLOUT", "URL"],
            &["service", "environment", "version", "health", "since", "rollout", "url"],
        )
    });
    Ok(())
}

/// The service and environment meant: given, or the only ones there are.
async fn chosen(api: &Api, target: &Target) -> Result<(String, String), Failure> {
    let services = api.get("/api/v1/services").await?;
    let mut places = vec![];
    for service in services.as_array().into_iter().flatten() {
        for environment in service.get("environments").and_then(Value::as_array).into_iter().flatten() {
            places.push((field(service, "service"), field(environment, "environment")));
        }
    }
    places.retain(|(s, e)| {
        target.service.as_ref().is_none_or(|t| t == s) && target.environment.as_ref().is_none_or(|t| t == e)
    });
    match places.len() {
        1 => Ok(places.remove(0)),
        0 => Err(usage("no such service and environment; lem status lists them")),
        _ => Err(usage("several services or environments match; choose with --service and --environment")),
    }
}

/// The rollout meant: given, the one in flight, or the latest.
async fn rollout(api: &Api, given: Option<&str>, in_flight: bool) -> Result<Value, Failure> {
    if let Some(deployment) = given {
        return api.get(&format!("/api/v1/rollouts/{}", escape(deployment))).await;
    }
    let latest = api.get("/api/v1/rollouts?limit=50").await?;
    let moving = |r: &&Value| !in_flight || r.get("finishedAt").is_none_or(Value::is_null);
    let found = latest.as_array().into_iter().flatten().find(moving).cloned();
    found.ok_or_else(|| usage(if in_flight { "no rollout is in flight; name one" } else { "there is no rollout yet" }))
}

async fn ask(cli: &Cli, api: &Api, request: &RolloutRequest, verb: &str, mut body: Value) -> Result<(), Failure> {
    let in_flight = verb != "retry";
    let rollout = rollout(api, request.deployment.as_deref(), in_flight).await?;
    body["reason"] = json!(request.reason);
    let path = format!("/api/v1/rollouts/{}/{verb}", escape(&field(&rollout, "deployment")));
    accepted(cli, &api.post(&path, &body).await?)
}

fn until(duration: &str) -> Result<String, Failure> {
    let ms = lem_engine_yaml::parse_duration_ms(duration)
        .ok_or_else(|| usage(format!("{duration:?} is no duration such as 90s or 2h")))?;
    let span = jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let at = jiff::Timestamp::now().checked_add(span).map_err(|e| usage(e.to_string()))?;
    Ok(at.to_string())
}

async fn query(cli: &Cli, api: &Api, expr: &str, since: Option<&str>, step: &str) -> Result<(), Failure> {
    let path = match since {
        None => format!("/api/v1/query?query={}", escape(expr)),
        Some(since) => {
            let ms = lem_engine_yaml::parse_duration_ms(since)
                .ok_or_else(|| usage(format!("{since:?} is no duration such as 30m")))?;
            let end = jiff::Timestamp::now().as_millisecond();
            let (start, end) = ((end - ms as i64) as f64 / 1e3, end as f64 / 1e3);
            format!("/api/v1/query_range?query={}&start={start}&end={end}&step={step}", escape(expr))
        }
    };
    let answer = api.get(&path).await?;
    document(cli.output, answer.get("data").unwrap_or(&Value::Null), series);
    Ok(())
}

/// A result as `name{labels} value` lines.
fn series(data: &Value) -> String {
    let result = data.get("result");
    if let Some(Value::Array(pair)) = result.filter(|_| data["resultType"] == "scalar") {
        return format!("{}\n", pair.get(1).and_then(Value::as_str).unwrap_or("-"));
    }
    let mut out = String::new();
    for item in result.and_then(Value::as_array).into_iter().flatten() {
        let labels = item.get("metric").and_then(Value::as_object).cloned().unwrap_or_default();
        let name = labels.get("__name__").and_then(Value::as_str).unwrap_or_default().to_owned();
        let pairs: Vec<String> =
            labels.iter().filter(|(k, _)| *k != "__name__").map(|(k, v)| format!("{k}={v}")).collect();
        let single = item.get("value").into_iter();
        for point in single.chain(item.get("values").and_then(Value::as_array).into_iter().flatten()) {
            let at = if data["resultType"] == "matrix" { format!(" @ {}", point[0]) } else { String::new() };
            out += &format!("{name}{{{}}} {}{at}\n", pairs.join(","), point[1].as_str().unwrap_or("-"));
        }
    }
    if out.is_empty() { "no series\n".to_owned() } else { out }
}

async fn incidents(
    cli: &Cli,
    api: &Api,
    incident: Option<&str>,
    report: bool,
    acknowledge: bool,
    resolve: Option<&str>,
) -> Result<(), Failure> {
    let Some(id) = incident else {
        let all = api.get("/api/v1/incidents").await?;
        document(cli.output, &all, |v| {
            rows(
                v,
                &["INCIDENT", "STATE", "SEVERITY", "DETECTED", "TITLE"],
                &["incident", "state", "severity", "detectedAt", "title"],
            )
        });
        return Ok(());
    };
    let path = format!("/api/v1/incidents/{}", escape(id));
    for (wanted, kind, text) in
        [(acknowledge, "acknowledged", "seen"), (resolve.is_some(), "resolved", resolve.unwrap_or_default())]
    {
        if wanted {
            accepted(cli, &api.post(&format!("{path}/notes"), &json!({"kind": kind, "text": text})).await?)?;
        }
    }
    if report {
        print!("{}", api.text(&format!("{path}/report?format=md"), "text/markdown").await?);
    } else if !acknowledge && resolve.is_none() {
        let found = api.get(&path).await?;
        document(cli.output, &found, |v| {
            let entries = v.get("timeline").cloned().unwrap_or(json!([]));
            format!(
                "{} {}\n{}\n\n{}",
                field(v, "incident"),
                field(v, "title"),
                field(v, "status"),
                rows(&entries, &["TIME", "WHAT", "EVENT"], &["at", "sentence", "seq"])
            )
        });
    }
    Ok(())
}

async fn why(api: &Api, incident: Option<&str>, confirm: bool, reject: bool) -> Result<(), Failure> {
    let id = match incident {
        Some(id) => id.to_owned(),
        None => {
            let all = api.get("/api/v1/incidents").await?;
            let latest = all.as_array().and_then(|a| a.first()).ok_or_else(|| negative("there is no incident"))?;
            field(latest, "incident")
        }
    };
    if confirm || reject {
        let body = json!({"verdict": if confirm { "confirm" } else { "reject" }, "text": "said on the command line"});
        api.post(&format!("/api/v1/incidents/{}/attribution", escape(&id)), &body).await?;
    }
    print!("{}", api.text(&format!("/api/v1/incidents/{}/why", escape(&id)), "text/plain").await?);
    Ok(())
}

fn dora(v: &Value) -> String {
    let seconds =
        |key: &str| v.pointer(key).and_then(Value::as_f64).map_or("unknown".to_owned(), |s| format!("{s:.0} s"));
    let share = |key: &str| {
        let s = &v[key];
        let percent = s["value"].as_f64().map_or("unknown".to_owned(), |x| format!("{:.0} %", x * 100.0));
        format!("{percent} ({} of {})", s["numerator"], s["denominator"])
    };
    let frequency = v["deploymentFrequencyPerDay"].as_f64().map_or("unknown".to_owned(), |f| format!("{f:.1} a day"));
    format!(
        "deployment frequency             {frequency}\nchange lead time                 {} median, {} p90, n = {}\nchange fail rate                 {}\ndeployment rework rate           {}\nfailed deployment recovery time  {} median, n = {}\n",
        seconds("/changeLeadTime/medianS"),
        seconds("/changeLeadTime/p90S"),
        v["changeLeadTime"]["n"],
        share("changeFailRate"),
        share("deploymentReworkRate"),
        seconds("/failedDeploymentRecoveryTime/medianS"),
        v["failedDeploymentRecoveryTime"]["n"],
    )
}
