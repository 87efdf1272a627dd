//! The HTTP API of Alertmanager, version 2, so that amtool and dashboards read alerts and keep silences as they are used to.
//!
//! Shapes follow the OpenAPI document of Alertmanager 0.34. Alerts come from the rules of the repository, so posting alerts
//! is refused; there is no cluster.

use crate::api::person;
use crate::app::App;
use crate::port::{Alerting, AlertingError, GroupedAlert, Matching, NewSilence, Silence};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use lem_model::fact::SilenceMatcher;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The release of Alertmanager whose API this is; clients choose their calls by it.
const SPOKEN: &str = "0.34.0";

/// Everything below `/api/v2`.
pub(crate) fn routes() -> Router<App> {
    Router::new().nest(
        "/api/v2",
        Router::new()
            .route("/status", get(status))
            .route("/receivers", get(receivers))
            .route("/silences", get(silences).post(post_silence))
            .route("/silence/{id}", get(silence).delete(expire))
            .route("/alerts", get(alerts).post(refuse_alerts))
            .route("/alerts/groups", get(groups)),
    )
}

/// An error as this API writes it: a JSON string.
struct Refused(StatusCode, String);

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<AlertingError> for Refused {
    fn from(error: AlertingError) -> Self {
        let status = match &error {
            AlertingError::Invalid(_) => StatusCode::BAD_REQUEST,
            AlertingError::Missing(_) => StatusCode::NOT_FOUND,
            AlertingError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

type Answer = Result<Json<Value>, Refused>;

fn alerting(app: &App) -> Result<&Arc<dyn Alerting>, Refused> {
    let absent = || Refused(StatusCode::NOT_IMPLEMENTED, "alerting is not set up in this server".into());
    app.parts.alerting.as_ref().ok_or_else(absent)
}

/// The query of a request: names may repeat.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(raw: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Flags are on unless the client says otherwise.
    fn flag(&self, name: &str) -> Result<bool, Refused> {
        match self.all(name).last() {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Refused::bad(format!("{name}: {other:?} is neither true nor false"))),
        }
    }

    fn filter(&self, alerting: &dyn Alerting) -> Result<Vec<Matching>, Refused> {
        self.all("filter").map(|text| alerting.matching(text).map_err(Refused::bad)).collect()
    }
}

async fn status(State(app): State<App>) -> Answer {
    let alerting = alerting(&app)?;
    Ok(Json(json!({
        "cluster": {"status": "disabled", "peers": []},
        "versionInfo": {
            "version": SPOKEN,
            "revision": format!("lemniscate-{}", env!("CARGO_PKG_VERSION")),
            "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        },
        "config": {"original": alerting.configuration()},
        "uptime": app.started,
    })))
}

async fn receivers(State(app): State<App>) -> Answer {
    let names = alerting(&app)?.receivers();
    Ok(Json(names.into_iter().map(|name| json!({ "name": name })).collect()))
}

fn shown(silence: &Silence) -> Value {
    json!({
        "id": silence.id,
        "status": {"state": silence.state},
        "updatedAt": silence.updated_at,
        "startsAt": silence.starts_at,
        "endsAt": silence.ends_at,
        "createdBy": silence.created_by,
        "comment": silence.comment,
        "matchers": silence.matchers,
    })
}

async fn silences(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let alerting = alerting(&app)?;
    let filter = Query::of(query.as_deref()).filter(alerting.as_ref())?;
    // A silence is found by the values of its own matchers.
    let labels = |s: &Silence| -> BTreeMap<String, String> {
        s.matchers.iter().map(|m| (m.name.clone(), m.value.clone())).collect()
    };
    let found = alerting.silences().into_iter().filter(|s| filter.iter().all(|matches| matches(&labels(s))));
    Ok(Json(found.map(|s| shown(&s)).collect()))
}

async fn silence(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let found = alerting(&app)?.silences().into_iter().find(|s| s.id == id);
    let found = found.ok_or_else(|| AlertingError::Missing(format!("silence {id} is not there")))?;
    Ok(Json(shown(&found)))
}

fn read_silence(body: &Value) -> Result<NewSilence, String> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| match body[name].as_str() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|e| format!("{name} {text:?} is no time: {e}")),
    };
    let matchers: Vec<SilenceMatcher> =
        serde_json::from_value(body["matchers"].clone()).map_err(|e| format!("matchers: {e}"))?;
    Ok(NewSilence {
        id: Some(text("id")).filter(|id| !id.is_empty()),
        matchers,
        starts_at: time("startsAt")?,
        ends_at: time("endsAt")?.ok_or("endsAt is missing")?,
        created_by: text("createdBy"),
        comment: text("comment"),
    })
}

async fn post_silence(State(app): State<App>, body: Result<Json<Value>, JsonRejection>) -> Answer {
    let Json(body) = body.map_err(|e| Refused(e.status(), e.body_text()))?;
    let new = read_silence(&body).map_err(Refused::bad)?;
    let id = alerting(&app)?.add_silence(new).await?;
    Ok(Json(json!({ "silenceID": id })))
}

async fn expire(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    alerting(&app)?.expire_silence(&id, person()).await?;
    Ok(StatusCode::OK)
}

async fn refuse_alerts() -> Refused {
    let why = "alerts come from the rules of the repository; this server takes none from outside";
    Refused(StatusCode::NOT_IMPLEMENTED, why.into())
}

/// What a client wants to see of the alerts.
struct Wanted {
    filter: Vec<Matching>,
    active: bool,
    silenced: bool,
    inhibited: bool,
    receiver: Option<Matching>,
}

impl Wanted {
    fn of(query: Option<&str>, alerting: &dyn Alerting) -> Result<Self, Refused> {
        let query = Query::of(query);
        let receiver = query.all("receiver").last().filter(|r| !r.is_empty());
        // A receiver is asked for by a regular expression over its whole name.
        let receiver = receiver.map(|r| alerting.matching(&format!("receiver=~{}", json!(r)))).transpose();
        Ok(Self {
            filter: query.filter(alerting)?,
            active: query.flag("active")?,
            silenced: query.flag("silenced")?,
            inhibited: query.flag("inhibited")?,
            receiver: receiver.map_err(Refused::bad)?,
        })
    }

    fn receiver(&self, name: &str) -> bool {
        let labels = BTreeMap::from([("receiver".to_owned(), name.to_owned())]);
        self.receiver.as_ref().is_none_or(|matches| matches(&labels))
    }

    fn alert(&self, alert: &GroupedAlert) -> bool {
        let (silenced, inhibited) = (!alert.silenced_by.is_empty(), !alert.inhibited_by.is_empty());
        alert.state != "resolved"
            && (self.active || silenced || inhibited)
            && (self.silenced || !silenced)
            && (self.inhibited || !inhibited)
            && self.filter.iter().all(|matches| matches(&alert.labels))
    }
}

fn written(alert: &GroupedAlert, receivers: &[String]) -> Value {
    json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": alert.ends_at,
        "updatedAt": alert.starts_at,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
        "receivers": receivers.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "status": {
            "state": alert.state,
            "silencedBy": alert.silenced_by,
            "inhibitedBy": alert.inhibited_by,
            "mutedBy": [],
        },
    })
}

async fn alerts(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let alerting = alerting(&app)?;
    let wanted = Wanted::of(query.as_deref(), alerting.as_ref())?;
    // An alert that goes to several receivers is one alert.
    let mut found: BTreeMap<String, (GroupedAlert, Vec<String>)> = BTreeMap::new();
    for group in alerting.groups().into_iter().filter(|group| wanted.receiver(&group.receiver)) {
        for alert in group.alerts.into_iter().filter(|alert| wanted.alert(alert)) {
            let entry = found.entry(alert.fingerprint.clone()).or_insert_with(|| (alert, vec![]));
            entry.1.push(group.receiver.clone());
        }
    }
    Ok(Json(found.values().map(|(alert, receivers)| written(alert, receivers)).collect()))
}

async fn groups(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let alerting = alerting(&app)?;
    let wanted = Wanted::of(query.as_deref(), alerting.as_ref())?;
    let mut found = vec![];
    for group in alerting.groups().into_iter().filter(|group| wanted.receiver(&group.receiver)) {
        let receiver = [group.receiver.clone()];
        let alerts = group.alerts.iter().filter(|alert| wanted.alert(alert));
        let alerts: Vec<Value> = alerts.map(|alert| written(alert, &receiver)).collect();
        if !alerts.is_empty() {
            let mut one = Map::new();
            one.insert("labels".into(), json!(group.labels));
            one.insert("receiver".into(), json!({ "name": group.receiver }));
            one.insert("alerts".into(), Value::Array(alerts));
            found.push(Value::Object(one));
        }
    }
    Ok(Json(Value::Array(found)))
}
