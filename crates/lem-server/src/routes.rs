//! Every route of our own API in one table: the OpenAPI document is made from it, the access check reads it, and the
//! tests walk it. A route that is served but not listed, or listed but not served, fails a test.

/// Method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Asks or adds.
    Post,
    /// Takes away.
    Delete,
}

/// What a route answers with, when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// JSON of this schema.
    One(&'static str),
    /// JSON array of this schema.
    Many(&'static str),
    /// 202 with where the request stands.
    Accepted,
    /// A body of this media type.
    Raw(&'static str),
    /// Nothing, 204.
    Nothing,
}

/// A query parameter: name, JSON type (`string`, `integer`, `date-time`), meaning.
pub type Parameter = (&'static str, &'static str, &'static str);

/// A route of our own API.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path, parameters in braces.
    pub path: &'static str,
    /// Station or part of the program.
    pub tag: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [Parameter],
    /// Schema of the body.
    pub body: Option<&'static str>,
    /// Answer.
    pub answer: Answer,
    /// Other media types it answers with on `Accept`.
    pub also: &'static [&'static str],
}

impl Route {
    const fn new(verb: Verb, path: &'static str, tag: &'static str, summary: &'static str, answer: Answer) -> Self {
        Self { verb, path, tag, summary, query: &[], body: None, answer, also: &[] }
    }

    const fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }
}

const fn get(path: &'static str, tag: &'static str, summary: &'static str, answer: Answer) -> Route {
    Route::new(Verb::Get, path, tag, summary, answer)
}

const fn post(path: &'static str, tag: &'static str, summary: &'static str, answer: Answer) -> Route {
    Route::new(Verb::Post, path, tag, summary, answer)
}

const LIMIT: Parameter = ("limit", "integer", "At most so many.");
const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";

use Answer::{Accepted, Many, Nothing, One, Raw};

/// Our own API, in the order of the loop.
pub const ROUTES: &[Route] = &[
    get("/api/v1/loop", "loop", "Home: stations, arrows, changes in flight, what needs a person", One("LoopHome")),
    get("/api/v1/changes", "loop", "Changes, newest first", Many("ChangeRow"))
        .query(&[LIMIT, ("before", "integer", "Only changes whose event stands before this position.")]),
    get("/api/v1/changes/{sha}", "loop", "One change followed round the loop", One("ChangeThread")),
    get("/api/v1/search", "loop", "Finds changes, runs, rollouts, services and incidents", Many("Hit")).query(&[(
        "q",
        "string",
        "Words; all must match.",
    )]),
    get("/api/v1/doctor", "loop", "What is set up and what is not", Many("Check")),
    get("/api/v1/runs", "pipeline", "Runs, newest first", One("RunsPage")).query(&[
        LIMIT,
        ("branch", "string", "Only of this branch."),
        ("sha", "string", "Only of this commit."),
    ]),
    post("/api/v1/runs", "pipeline", "Asks for a run", Accepted).body("RunRequest"),
    get("/api/v1/runs/{run}", "pipeline", "One run", One("RunDetail")),
    post("/api/v1/runs/{run}/cancel", "pipeline", "Asks to stop a run", Accepted).body("Reason"),
    get("/api/v1/runs/{run}/jobs/{job}/log", "pipeline", "Log of a job; live as an event stream", One("JobLog"))
        .query(&[("from", "integer", "First line, from 0."), LIMIT])
        .also(&[SSE, "text/plain"]),
    get("/api/v1/artifacts/{digest}", "pipeline", "An artifact's archive", Raw("application/zip")),
    get("/api/v1/services", "deploy", "What is where", Many("Service")),
    post("/api/v1/services/{service}/environments/{environment}/rollback", "deploy", "Asks for a rollback", Accepted)
        .body("RollbackRequest"),
    post("/api/v1/deployments", "deploy", "Asks for a deployment", Accepted).body("DeployRequest"),
    get("/api/v1/rollouts", "deploy", "Rollouts, newest first", Many("Rollout")).query(&[
        ("service", "string", "Only of this service."),
        ("environment", "string", "Only in this environment."),
        LIMIT,
    ]),
    get("/api/v1/rollouts/{deployment}", "deploy", "One rollout", One("Rollout")),
    post("/api/v1/rollouts/{deployment}/{action}", "deploy", "promote, abort, retry, pause or resume", Accepted)
        .body("RolloutRequest"),
    get("/api/v1/freezes", "deploy", "Running freezes", Many("Freeze")),
    post("/api/v1/freezes", "deploy", "Asks to stop promotion", Accepted).body("FreezeRequest"),
    Route::new(Verb::Delete, "/api/v1/freezes", "deploy", "Asks to let promotion go on", Accepted)
        .body("FreezeRequest"),
    get("/api/v1/incidents", "incidents", "Incidents, newest first", Many("IncidentRow")).query(&[
        ("state", "string", "open, acknowledged, mitigated, resolved or closed; several with commas."),
        LIMIT,
    ]),
    get("/api/v1/incidents/{incident}", "incidents", "One incident", One("IncidentDetail")),
    get("/api/v1/incidents/{incident}/report", "incidents", "Its report", Raw("text/markdown"))
        .query(&[("format", "string", "md or html.")])
        .also(&["text/html"]),
    get("/api/v1/incidents/{incident}/why", "incidents", "Why, as text", Raw("text/plain")),
    post("/api/v1/incidents/{incident}/notes", "incidents", "Writes something down", Accepted).body("NoteRequest"),
    post("/api/v1/incidents/{incident}/attribution", "incidents", "Confirms or rejects the cause", Accepted)
        .body("AttributionRequest"),
    get("/api/v1/dora", "reports", "DORA's five metrics with their rows", One("Dora")).query(&[
        ("environment", "string", "production when absent."),
        ("days", "integer", "Days up to now; 30 when absent."),
    ]),
    get("/api/v1/events", "ledger", "Events; live as an event stream that resumes by Last-Event-ID", One("EventsPage"))
        .query(&[
            ("from", "integer", "Position to read from."),
            LIMIT,
            ("type", "string", "Short or whole types, several with commas."),
            ("subject", "string", "Only of this subject."),
            ("chain", "string", "Only of this commit."),
        ])
        .also(&[NDJSON, SSE]),
    post("/api/v1/events", "ledger", "Takes CDEvents: CloudEvents binary, structured or batch", Many("Received"))
        .body("Object"),
    get("/api/v1/events/{seq}", "ledger", "One event", One("EventRow")),
    get("/api/v1/events/{seq}/proof", "ledger", "Its proof of inclusion", One("EventProof")),
    get("/api/v1/ledger", "ledger", "The ledger as a whole", One("LedgerInfo")),
    post("/api/v1/ledger/verify", "ledger", "Recomputes the tree from the rows", One("Verification")),
    post("/api/v1/ledger/checkpoint", "ledger", "Signs the tree as it is", One("Checkpoint")),
    get("/api/v1/ledger/export", "ledger", "Audit package", Raw("application/x-tar")).query(&[(
        "chain",
        "string",
        "Only of this commit.",
    )]),
    get("/api/v1/subscriptions", "ledger", "Webhooks", Many("Subscription")),
    post("/api/v1/subscriptions", "ledger", "Adds a webhook", One("Subscription")).body("SubscriptionRequest"),
    Route::new(Verb::Delete, "/api/v1/subscriptions/{id}", "ledger", "Removes a webhook", Nothing),
    get("/api/v1/dashboards", "observe", "Imported dashboards", Many("DashboardRow")),
    get("/api/v1/dashboards/{uid}", "observe", "One dashboard", One("Dashboard")),
    get("/api/v1/logs", "observe", "Log lines by LogQL", One("LogLines")).query(&[
        ("query", "string", "LogQL."),
        ("start", "date-time", "From; an hour ago when absent."),
        ("end", "date-time", "To; now when absent."),
        LIMIT,
        ("direction", "string", "backward (newest first) or forward."),
    ]),
    get("/api/v1/logs/tail", "observe", "New log lines as an event stream", Raw(SSE))
        .query(&[("query", "string", "LogQL.")]),
    get("/api/v1/logs/histogram", "observe", "Lines over time", One("LogHistogram")).query(&[
        ("query", "string", "LogQL."),
        ("start", "date-time", "From."),
        ("end", "date-time", "To."),
    ]),
    get("/api/v1/logs/patterns", "observe", "Patterns and who said them first", Many("LogPattern")).query(&[
        ("service", "string", "Only of this service."),
        ("start", "date-time", "From."),
        ("end", "date-time", "To."),
    ]),
    get("/api/v1/provision", "provision", "Environments, resources, plans, drift, documents", One("ProvisionView")),
    get("/api/v1/secure", "secure", "Findings, exceptions, secrets by name, attestations, gates", One("SecureView")),
    get("/api/v1/optimize", "optimize", "Cost, budgets, recommendations, pipelines", One("OptimizeView")),
    get(
        "/api/v1/reports/{team}",
        "reports",
        "Report of a team: engineering, qa, product, security, support, finance",
        One("TeamReportView"),
    )
    .query(&[("format", "string", "json, md, html or csv.")])
    .also(&["text/markdown", "text/html", "text/csv"]),
    get("/api/v1/openapi.json", "program", "This document", Raw("application/json")),
    get("/healthz", "program", "Whether the process answers", Raw("text/plain")),
    get("/readyz", "program", "Whether it can do its work", Raw("text/plain")),
    get("/metrics", "program", "Its own metrics", Raw("text/plain")),
];
