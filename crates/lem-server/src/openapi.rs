//! The OpenAPI document of our own API, made from [`crate::routes::ROUTES`] and the shapes of [`crate::dto`].
//!
//! It is checked in as `openapi.json`; the types of the web UI are generated from it.

use crate::dto;
use crate::routes::{Answer, ROUTES, Route, Verb};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(components(schemas(
    dto::Accepted,
    dto::AdviceStanding,
    dto::AlertInfo,
    dto::Arrow,
    dto::Artifact,
    dto::Attribution,
    dto::AttributionRequest,
    dto::BomRow,
    dto::BudgetRow,
    dto::Cause,
    dto::ChangeRow,
    dto::ChangeThread,
    dto::ChangedAttribute,
    dto::Check,
    dto::Checkpoint,
    dto::ControlRow,
    dto::CostRow,
    dto::Dashboard,
    dto::DashboardRow,
    dto::DeployRequest,
    dto::Distribution,
    dto::Dora,
    dto::DoraRow,
    dto::DriftCheck,
    dto::EventFate,
    dto::EventFilter,
    dto::EventProof,
    dto::EventRow,
    dto::EventsPage,
    dto::Evidence,
    dto::ExceptionRow,
    dto::Factor,
    dto::FileChange,
    dto::FilePlace,
    dto::FindingRow,
    dto::FindingStanding,
    dto::Freeze,
    dto::FreezeRequest,
    dto::GateAnswer,
    dto::GateRow,
    dto::GateState,
    dto::GridPos,
    dto::Health,
    dto::Hit,
    dto::IncidentAction,
    dto::IncidentDetail,
    dto::IncidentNote,
    dto::IncidentRow,
    dto::IncidentState,
    dto::InfraDoc,
    dto::InfraEnvironment,
    dto::InfraPlan,
    dto::InfraResource,
    dto::Instance,
    dto::Job,
    dto::JobLog,
    dto::JobLogLine,
    dto::Judgement,
    dto::Language,
    dto::LeaseRow,
    dto::LedgerInfo,
    dto::LogBar,
    dto::LogHistogram,
    dto::LogLine,
    dto::LogLines,
    dto::LogPattern,
    dto::LoopHome,
    dto::Money,
    dto::MovedBy,
    dto::NoteKind,
    dto::NoteRequest,
    dto::NowItem,
    dto::NowKind,
    dto::Number,
    dto::Observed,
    dto::Onset,
    dto::OptimizeView,
    dto::Panel,
    dto::PatternCount,
    dto::PipelineCost,
    dto::PlanChange,
    dto::PlanCounts,
    dto::PlanState,
    dto::PolicyNote,
    dto::Problem,
    dto::ProvisionView,
    dto::Reason,
    dto::Received,
    dto::RecommendationRow,
    dto::RejectedRun,
    dto::ReportFile,
    dto::ReportLink,
    dto::ReportRow,
    dto::ReportSection,
    dto::ResourceAction,
    dto::RollbackRequest,
    dto::Rollout,
    dto::RolloutAction,
    dto::RolloutRequest,
    dto::RolloutState,
    dto::RolloutStep,
    dto::RunDetail,
    dto::RunOutcome,
    dto::RunRequest,
    dto::RunRow,
    dto::RunState,
    dto::RunningAt,
    dto::RunsPage,
    dto::ScanInfo,
    dto::Scanner,
    dto::SecretRow,
    dto::SecureView,
    dto::Service,
    dto::ServicePlace,
    dto::Severity,
    dto::Share,
    dto::ShownAttribute,
    dto::Signal,
    dto::SignalCounts,
    dto::SlowStep,
    dto::Standing,
    dto::State,
    dto::Station,
    dto::StationId,
    dto::Step,
    dto::StepState,
    dto::Subscription,
    dto::SubscriptionRequest,
    dto::Symptom,
    dto::Target,
    dto::TeamReportView,
    dto::TestFailure,
    dto::TestSuite,
    dto::ThreadStep,
    dto::Threshold,
    dto::Time,
    dto::TimeRange,
    dto::TimelineEntry,
    dto::Unpriced,
    dto::Variable,
    dto::Verdict,
    dto::VerdictOutcome,
    dto::Verification,
    dto::Weight,
)))]
struct Schemas;

/// The document as pretty JSON with a last newline, exactly as it is checked in.
pub fn openapi_json() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("a JSON value serialises");
    text.push('\n');
    text
}

fn document() -> Value {
    let schemas = serde_json::to_value(Schemas::openapi()).expect("schemas serialise");
    let mut components = schemas["components"].clone();
    components["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lemniscate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The loop of a change: pipeline, release, deployment, observation and the way back.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths(),
        "components": components,
    })
}

fn paths() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        let verb = match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Delete => "delete",
        };
        item[verb] = operation(route, verb);
    }
    Value::Object(paths)
}

fn operation(route: &Route, verb: &str) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route, verb),
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route),
    });
    if let Some(body) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema(body) } } });
    }
    if route.verb != Verb::Get {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}

/// `getRunsRunJobsJobLog`: stable as long as the path is.
fn operation_id(route: &Route, verb: &str) -> String {
    let words = route.path.trim_start_matches("/api/v1").split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|w| !w.is_empty()).map(|w| {
        let mut letters = w.chars();
        letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    std::iter::once(verb.to_owned()).chain(words).collect()
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = match name {
            "seq" => json!({ "type": "integer", "minimum": 0 }),
            "action" => json!({ "$ref": "#/components/schemas/RolloutAction" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = route.query.iter().map(|(name, kind, meaning)| {
        let schema = match *kind {
            "date-time" => json!({ "type": "string", "format": "date-time" }),
            kind => json!({ "type": kind }),
        };
        json!({ "name": name, "in": "query", "required": false, "description": meaning, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn schema(name: &str) -> Value {
    match name {
        "Object" => json!({ "type": "object" }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

fn responses(route: &Route) -> Value {
    let mut content = Map::new();
    let (status, body) = match route.answer {
        Answer::One(name) => ("200", Some(("application/json", schema(name)))),
        Answer::Many(name) => ("200", Some(("application/json", json!({ "type": "array", "items": schema(name) })))),
        Answer::Accepted => ("202", Some(("application/json", schema("Accepted")))),
        Answer::Raw(media) => ("200", Some((media, json!({ "type": "string" })))),
        Answer::Nothing => ("204", None),
    };
    if let Some((media, schema)) = body {
        content.insert(media.to_owned(), json!({ "schema": schema }));
    }
    for media in route.also {
        content.insert((*media).to_owned(), json!({ "schema": { "type": "string" } }));
    }
    let mut answer = json!({ "description": route.summary });
    if !content.is_empty() {
        answer["content"] = Value::Object(content);
    }
    let problem = json!({
        "description": "What went wrong",
        "content": { "application/problem+json": { "schema": schema("Problem") } },
    });
    let mut responses = Map::new();
    responses.insert(status.to_owned(), answer);
    responses.insert("default".to_owned(), problem);
    Value::Object(responses)
}
