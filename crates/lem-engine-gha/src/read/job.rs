//! `jobs.<id>`.

use super::convert::{Converter, defaults, permissions, spanned, spanned_list};
use super::schema::definition;
use super::step::steps;
use super::{ids, template};
use crate::expr::{Expr, Names};
use crate::model::{Call, CallSecrets, Condition, Job, Spanned, StepsWork, Strategy, Work};
use crate::token::{Kind, Token};
use lem_model::Place;
use std::sync::Arc;

pub(super) fn job(converter: &mut Converter<'_>, id: &Spanned<String>, body: &Token) -> Option<Job> {
    body.entries()?;
    if let Err(message) = ids::Ids::default().add_known(&id.value) {
        converter.problems.at(&id.place, "job-id", &message);
    }
    let get = |key: &str| body.get(key).cloned();
    let condition = converter.condition(body.get("if"), &body.place, "job-if");
    let strategy = body.get("strategy").map(|token| converter.strategy(token));
    let concurrency = body.get("concurrency").map(|token| converter.concurrency(token));
    let work = match body.get("uses").and_then(spanned) {
        Some(uses) => Work::Call(Box::new(call(uses, body))),
        None => Work::Steps(Box::new(converter.work(body))),
    };
    Some(Job {
        id: id.clone(),
        name: get("name").filter(|name| name.as_str() != Some("")),
        needs: body.get("needs").map(spanned_list).unwrap_or_default(),
        condition,
        strategy,
        continue_on_error: get("continue-on-error"),
        timeout_minutes: get("timeout-minutes"),
        cancel_timeout_minutes: get("cancel-timeout-minutes"),
        concurrency,
        permissions: body.get("permissions").map(permissions),
        work,
    })
}

fn call(uses: Spanned<String>, body: &Token) -> Call {
    let secrets = match body.get("secrets") {
        None => CallSecrets::None,
        Some(token) if token.as_str() == Some("inherit") => CallSecrets::Inherit,
        Some(token) => CallSecrets::Map(token.clone()),
    };
    Call { uses, with: body.get("with").cloned(), secrets, workflow: None }
}

impl Converter<'_> {
    fn work(&mut self, body: &Token) -> StepsWork {
        let get = |key: &str| body.get(key).cloned();
        let runs_on = get("runs-on").unwrap_or_else(|| Token::new(body.place.clone(), Kind::Null));
        self.check_runs_on(&runs_on);
        if let Some(container) = body.get("container") {
            self.check_container(container, Owner::Job);
        }
        if let Some(services) = body.get("services").filter(|services| !services.has_expression()) {
            for (_, service) in services.entries().unwrap_or_default() {
                self.check_container(service, Owner::Service);
            }
        }
        if let Some(snapshot) = body.get("snapshot") {
            self.check_snapshot(snapshot);
        }
        StepsWork {
            runs_on,
            env: get("env"),
            environment: get("environment"),
            defaults: body.get("defaults").map(defaults),
            container: get("container"),
            services: get("services"),
            outputs: get("outputs"),
            snapshot: get("snapshot"),
            steps: body.get("steps").map(|token| steps(self, token)).unwrap_or_default(),
        }
    }

    /// `if` at a job or step, `success() &&` implied where no status function is called.
    pub(super) fn condition(&mut self, token: Option<&Token>, at: &Place, rule: &str) -> Condition {
        let source = match token.map(|token| &token.kind) {
            Some(Kind::String(text)) => text.trim().to_owned(),
            Some(Kind::Expression(expr)) => expr.source().to_owned(),
            _ => String::new(),
        };
        let place = token.map_or(at, |token| &token.place).clone();
        let names = Names::of(definition(rule).names.iter().copied());
        let parse =
            |text: &str| Arc::new(Expr::parse(text, &names).expect("status functions are legal in a condition"));
        if source.is_empty() {
            return Condition { place, source, expr: parse("success()"), calls_status: false };
        }
        match template::parse(&source, &names) {
            Ok(expr) if expr.calls_status() => Condition { place, source, expr: Arc::new(expr), calls_status: true },
            Ok(_) => match Expr::parse(&format!("success() && ({source})"), &names) {
                Ok(expr) => Condition { place, source, expr: Arc::new(expr), calls_status: false },
                Err(error) => {
                    self.problems.at(&place, "expression", &error.located(&source));
                    Condition { place, source, expr: parse("success()"), calls_status: false }
                }
            },
            Err(problem) => {
                // What the schema already refused is not reported twice.
                if !token.is_some_and(|token| token.as_str().is_some_and(|text| text.contains("${{"))) {
                    self.problems.at(&place, "expression", &problem);
                }
                Condition { place, source, expr: parse("success()"), calls_status: false }
            }
        }
    }

    fn check_runs_on(&mut self, token: &Token) {
        let Some(group) = token.get("group") else { return };
        let Some(name) = group.as_str() else { return };
        let parts: Vec<&str> = name.split('/').collect();
        let advice = "Please use 'organization/' or 'enterprise/' prefix to target a single runner group.";
        let message = match parts[..] {
            [_] => return,
            [_, ""] => format!("Invalid runs-on group name '{name}'."),
            ["org" | "organization" | "ent" | "enterprise", _] => return,
            _ => format!("Invalid runs-on group name '{name}'. {advice}"),
        };
        self.problems.token(group, "runs-on", &message);
    }

    fn check_container(&mut self, token: &Token, owner: Owner) {
        if token.has_expression() {
            return;
        }
        let image = match &token.kind {
            Kind::String(image) => image.as_str(),
            Kind::Mapping(_) => token.get("image").and_then(Token::as_str).unwrap_or_default(),
            _ => return,
        };
        let bare = image.strip_prefix("docker://");
        let empty = bare.unwrap_or(image).is_empty();
        if empty && (bare.is_some() || owner == Owner::Service) {
            self.problems.token(token, "container", "Container image cannot be empty");
        }
    }

    fn check_snapshot(&mut self, token: &Token) {
        if let Some(condition) = token.get("if") {
            self.condition_of_snapshot(condition);
        }
        let Some(version) = token.get("version").and_then(Token::as_str) else { return };
        let major = version.strip_suffix(".*").is_some_and(|major| major.parse::<u32>().is_ok());
        if !major {
            let message = format!("Expected format '{{major-version}}.*' Actual '{version}'");
            self.problems.token(token, "snapshot", &message);
        }
    }

    fn condition_of_snapshot(&mut self, token: &Token) {
        let names = Names::of(definition("snapshot-if").names.iter().copied());
        if let Some(text) = token.as_str().map(str::trim).filter(|text| !text.is_empty())
            && let Err(problem) = template::parse(text, &names)
        {
            self.problems.token(token, "expression", &problem);
        }
    }

    fn strategy(&mut self, token: &Token) -> Strategy {
        let get = |key: &str| token.get(key).cloned();
        if let Some(matrix) = token.get("matrix") {
            self.check_matrix(matrix);
        }
        Strategy {
            matrix: get("matrix"),
            fail_fast: get("fail-fast"),
            max_parallel: get("max-parallel"),
            raw: token.clone(),
        }
    }

    fn check_matrix(&mut self, matrix: &Token) {
        let Some(entries) = matrix.entries() else { return };
        let is = |key: &Token, name: &str| key.as_str() == Some(name);
        let vectors: Vec<_> = entries.iter().filter(|(key, _)| !is(key, "include") && !is(key, "exclude")).collect();
        for (key, vector) in &vectors {
            if vector.items().is_some_and(<[Token]>::is_empty) {
                let name = key.as_str().unwrap_or_default();
                let message = format!("Matrix vector '{name}' does not contain any values");
                self.problems.token(vector, "matrix", &message);
            }
        }
        let include = matrix.get("include");
        let includes = include.is_some_and(|list| list.has_expression() || list.items().is_some_and(|l| !l.is_empty()));
        if vectors.is_empty() && !includes {
            self.problems.token(matrix, "matrix", "Matrix must define at least one vector");
        }
        if matrix.has_expression() {
            return;
        }
        for item in include.and_then(Token::items).unwrap_or_default() {
            if item.entries().is_some_and(<[_]>::is_empty) {
                self.problems.token(item, "matrix", "Matrix include mapping does not contain any values");
            }
        }
        for item in matrix.get("exclude").and_then(Token::items).unwrap_or_default() {
            let keys = item.entries().unwrap_or_default();
            if keys.is_empty() {
                self.problems.token(item, "matrix", "Matrix exclude filter must not be empty");
            }
            for (key, _) in keys {
                let name = key.as_str().unwrap_or_default();
                if !vectors.iter().any(|(vector, _)| vector.as_str().is_some_and(|v| v.eq_ignore_ascii_case(name))) {
                    let message = format!("Matrix exclude key '{name}' does not match any key within the matrix");
                    self.problems.token(key, "matrix", &message);
                }
            }
        }
    }
}

/// Whose container it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Job,
    Service,
}
