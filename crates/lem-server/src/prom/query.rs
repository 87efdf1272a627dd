//! Queries, and what there is to query.

use super::answer::{data, label_sets, success};
use super::params::{Asked, PromError};
use crate::app::App;
use crate::logs::QUERY_WITHIN;
use crate::port::{Ask, Metrics, PartError};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use lem_engine_promql::number::quote;
use lem_engine_promql::{
    Features, InstantParams, Interrupt, Labels, MAX_POINTS_PER_SERIES, Matcher, QueryError, QueryResult, RangeParams,
    ast_json, format_query, parse,
};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

type Answer = Result<Response, PromError>;

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn store(app: &App) -> Result<Arc<dyn Metrics>, PromError> {
    app.parts.metrics.clone().ok_or_else(|| PromError::absent("the metric store"))
}

/// Stops a query when the client is gone.
struct GiveUp(Interrupt);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

type Working<'a> = Pin<Box<dyn Future<Output = Result<QueryResult, QueryError>> + Send + 'a>>;

/// Works a query out beside the runtime's threads, when it is its turn.
async fn work<F>(app: &App, asked: &Asked, query: F) -> Answer
where
    F: for<'a> FnOnce(&'a App, &'a dyn Metrics, Interrupt) -> Working<'a> + Send + 'static,
{
    let metrics = store(app)?;
    let within = asked.duration("timeout")?.map_or(QUERY_WITHIN, |ms| Duration::from_millis(ms.max(0) as u64));
    let deadline = Instant::now() + within.min(QUERY_WITHIN);
    let limit = asked.limit("limit")?;
    let waited = tokio::time::timeout_at(deadline.into(), Arc::clone(&app.queries).acquire_owned()).await;
    let turn = waited.map_err(|_| PromError::timeout("query timed out in query queue"))?;
    let interrupt = Interrupt::with_deadline(deadline);
    let _guard = GiveUp(interrupt.clone());
    let (app, handle) = (app.clone(), Handle::current());
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        handle.block_on(query(&app, metrics.as_ref(), interrupt))
    });
    let result = match worked.await {
        Ok(result) => result?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let (data, left_out) = data(&result, limit);
    let mut warnings = result.warnings;
    warnings.extend(left_out.then(|| "results truncated due to limit".to_owned()));
    Ok(json(success(&data, &warnings, &result.infos)))
}

pub(crate) async fn instant(State(app): State<App>, asked: Asked) -> Answer {
    let time_ms = asked.time("time")?.unwrap_or_else(|| app.parts.clock.now().as_millisecond());
    let lookback_ms = asked.duration("lookback_delta")?;
    let query = asked.0.get("query").unwrap_or_default().to_owned();
    work(&app, &asked, move |app, metrics, interrupt| {
        Box::pin(async move {
            let params = InstantParams { time_ms, lookback_ms, interrupt };
            app.engine.instant(metrics.querier(), &query, params).await
        })
    })
    .await
}

pub(crate) async fn range(State(app): State<App>, asked: Asked) -> Answer {
    let (start_ms, end_ms) = (asked.required_time("start")?, asked.required_time("end")?);
    if end_ms < start_ms {
        return Err(PromError::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = asked.required_duration("step")?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(PromError::parameter("step", why));
    }
    if (end_ms - start_ms) / step_ms > MAX_POINTS_PER_SERIES {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                   (?step=XX)";
        return Err(PromError::bad(why));
    }
    let lookback_ms = asked.duration("lookback_delta")?;
    let query = asked.0.get("query").unwrap_or_default().to_owned();
    work(&app, &asked, move |app, metrics, interrupt| {
        Box::pin(async move {
            let params = RangeParams { start_ms, end_ms, step_ms, lookback_ms, interrupt };
            app.engine.range(metrics.querier(), &query, params).await
        })
    })
    .await
}

/// The store keeps no exemplars; the question is checked all the same.
pub(crate) async fn exemplars(asked: Asked) -> Answer {
    let (start, end) = (asked.required_time("start")?, asked.required_time("end")?);
    if end < start {
        return Err(PromError::bad("end timestamp must not be before start timestamp"));
    }
    let query = asked.0.get("query").unwrap_or_default();
    parse(query, &Features::default()).map_err(|e| PromError::parameter("query", e))?;
    Ok(json(success("[]", &[], &[])))
}

pub(crate) async fn format(asked: Asked) -> Answer {
    let query = asked.0.get("query").unwrap_or_default();
    let expr = parse(query, &Features::default()).map_err(|e| PromError::parameter("query", e))?;
    let formatted = format_query(&expr);
    Ok(json(success(&serde_json::Value::from(formatted).to_string(), &[], &[])))
}

pub(crate) async fn tree(asked: Asked) -> Answer {
    let query = asked.0.get("query").unwrap_or_default();
    let expr = parse(query, &Features::default()).map_err(|e| PromError::parameter("query", e))?;
    Ok(json(success(&ast_json(&expr).to_string(), &[], &[])))
}

fn failed(error: PartError) -> PromError {
    PromError::internal(error.to_string())
}

pub(crate) async fn series(State(app): State<App>, asked: Asked) -> Answer {
    let selectors = asked.selectors()?;
    if selectors.is_empty() {
        return Err(PromError::bad("no match[] parameter provided"));
    }
    let ((start, end), limit) = (asked.range()?, asked.limit("limit")?);
    let metrics = store(&app)?;
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    for matchers in &selectors {
        found.extend(metrics.series(matchers, start, end).await.map_err(failed)?);
    }
    let (found, warnings) = cut(found, limit);
    Ok(json(success(&label_sets(&found), &warnings, &[])))
}

/// At most so many, and a warning when that leaves some out.
fn cut<T>(found: BTreeSet<T>, limit: Option<usize>) -> (Vec<T>, Vec<String>) {
    let most = limit.unwrap_or(usize::MAX);
    let warnings = (found.len() > most).then(|| "results truncated due to limit".to_owned());
    (found.into_iter().take(most).collect(), warnings.into_iter().collect())
}

async fn list(app: &App, asked: &Asked, ask: Ask) -> Answer {
    let (mut selectors, (start, end)) = (asked.selectors()?, asked.range()?);
    let limit = asked.limit("limit")?;
    let metrics = store(app)?;
    if selectors.is_empty() {
        let all: Vec<Matcher> = vec![];
        selectors.push(all);
    }
    let mut found: BTreeSet<String> = BTreeSet::new();
    for matchers in &selectors {
        found.extend(metrics.list(&ask, matchers, start, end).await.map_err(failed)?);
    }
    let (found, warnings) = cut(found, limit);
    let data = serde_json::Value::from(found).to_string();
    Ok(json(success(&data, &warnings, &[])))
}

pub(crate) async fn labels(State(app): State<App>, asked: Asked) -> Answer {
    list(&app, &asked, Ask::Names).await
}

pub(crate) async fn values(State(app): State<App>, Path(name): Path<String>, asked: Asked) -> Answer {
    if name.is_empty() {
        return Err(PromError::bad(format!("invalid label name: {}", quote(&name))));
    }
    list(&app, &asked, Ask::Values(name)).await
}
