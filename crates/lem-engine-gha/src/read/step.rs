//! `jobs.<id>.steps`.

use super::convert::{Converter, spanned, spanned_list};
use super::ids::Ids;
use crate::model::{Action, Spanned, Step};
use crate::token::{Kind, Token};

pub(super) fn steps(converter: &mut Converter<'_>, token: &Token) -> Vec<Step> {
    let mut ids = Ids::default();
    let mut known = vec![];
    let items = token.items().unwrap_or_default();
    let mut steps: Vec<Step> = items.iter().filter_map(|item| step(converter, item, &mut ids, &mut known)).collect();
    name_steps(&mut steps, &mut ids);
    steps
}

fn name_steps(steps: &mut [Step], ids: &mut Ids) {
    for step in steps.iter_mut() {
        if step.id.is_empty() {
            step.id = ids.implied(&implied_id(&step.action));
        }
        if let Action::Parallel(inner) = &mut step.action {
            name_steps(inner, ids);
        }
    }
}

fn implied_id(action: &Action) -> String {
    match action {
        Action::Run { .. } => "run".to_owned(),
        Action::Uses { uses, .. } => match reference(&uses.value) {
            Reference::Image(image) => image.to_owned(),
            Reference::Local => "self".to_owned(),
            Reference::Repository(owner, name) => format!("{owner}/{name}"),
            Reference::Invalid => "run".to_owned(),
        },
        Action::Wait(_) => "wait".to_owned(),
        Action::WaitAll => "wait-all".to_owned(),
        Action::Cancel(_) => "cancel".to_owned(),
        Action::Parallel(_) => "parallel".to_owned(),
    }
}

/// What stands behind `uses` of a step.
enum Reference<'a> {
    Image(&'a str),
    Local,
    Repository(&'a str, &'a str),
    Invalid,
}

fn reference(uses: &str) -> Reference<'_> {
    if let Some(image) = uses.strip_prefix("docker://") {
        return Reference::Image(image);
    }
    if uses.starts_with("./") || uses.starts_with(".\\") {
        return Reference::Local;
    }
    let Some((path, git_ref)) = uses.split_once('@') else { return Reference::Invalid };
    let mut parts = path.split(['/', '\\']).filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some(owner), Some(name)) if !git_ref.is_empty() && !git_ref.contains('@') => {
            Reference::Repository(owner, name)
        }
        _ => Reference::Invalid,
    }
}

fn step(converter: &mut Converter<'_>, token: &Token, ids: &mut Ids, known: &mut Vec<String>) -> Option<Step> {
    token.entries()?;
    let get = |key: &str| token.get(key).cloned();
    let id = token.get("id").and_then(spanned);
    if let Some(id) = &id {
        match ids.add_known(&id.value) {
            Ok(()) => known.push(id.value.clone()),
            // An expression as id was refused where it was read.
            Err(_) if id.value.contains("${{") => {}
            Err(message) => converter.problems.at(&id.place, "step-id", &message),
        }
    }
    let condition = converter.condition(token.get("if"), &token.place, "step-if");
    let action = action(converter, token, id.as_ref(), ids, known)?;
    let synthetic = match &action {
        Action::Wait(_) => Some("Wait"),
        Action::WaitAll => Some("Wait for all"),
        Action::Cancel(_) => Some("Cancel"),
        _ => None,
    };
    let name = get("name").or_else(|| Some(Token::new(token.place.clone(), Kind::String(synthetic?.to_owned()))));
    Some(Step {
        own_id: id.is_some(),
        id: id.map(|id| id.value).unwrap_or_default(),
        place: token.place.clone(),
        name,
        condition,
        continue_on_error: get("continue-on-error"),
        timeout_minutes: get("timeout-minutes"),
        env: get("env"),
        action,
        background: token.get("background").and_then(Token::as_bool).unwrap_or_default(),
    })
}

fn action(
    converter: &mut Converter<'_>,
    token: &Token,
    own: Option<&Spanned<String>>,
    ids: &mut Ids,
    known: &mut Vec<String>,
) -> Option<Action> {
    let get = |key: &str| token.get(key).cloned();
    if let Some(run) = get("run") {
        let working_directory = get("working-directory");
        return Some(Action::Run { run, shell: get("shell"), working_directory });
    }
    if let Some(uses) = token.get("uses").and_then(spanned) {
        if matches!(reference(&uses.value), Reference::Invalid) {
            let message = format!("Expected format {{org}}/{{repo}}[/path]@ref. Actual '{}'", uses.value);
            converter.problems.at(&uses.place, "uses", &message);
        }
        return Some(Action::Uses { uses, with: get("with") });
    }
    if let Some(targets) = token.get("wait") {
        let targets = spanned_list(targets);
        for target in &targets {
            check_target(converter, target, own, known);
        }
        return Some(Action::Wait(targets));
    }
    if let Some(all) = token.get("wait-all") {
        if all.as_bool() == Some(false) {
            converter.problems.token(all, "wait", "The value of 'wait-all' must be true or omitted");
        }
        return Some(Action::WaitAll);
    }
    if let Some(target) = token.get("cancel").and_then(spanned) {
        check_target(converter, &target, own, known);
        return Some(Action::Cancel(target));
    }
    let inner = token.get("parallel")?.items()?;
    Some(Action::Parallel(inner.iter().filter_map(|item| step(converter, item, ids, known)).collect()))
}

fn check_target(
    converter: &mut Converter<'_>,
    target: &Spanned<String>,
    own: Option<&Spanned<String>>,
    known: &[String],
) {
    let id = &target.value;
    let message = if id.starts_with("__") {
        format!("The identifier '{id}' is invalid. IDs starting with '__' are reserved.")
    } else if let Some(own) = own.filter(|own| own.value.eq_ignore_ascii_case(id)) {
        format!("Step '{}' cannot reference itself", own.value)
    } else if known.contains(id) {
        return;
    } else {
        format!("Step references unknown step ID '{id}'")
    };
    converter.problems.at(&target.place, "wait", &message);
}
