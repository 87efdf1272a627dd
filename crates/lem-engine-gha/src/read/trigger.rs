//! `on`.

use super::convert::{Checks, Converter, spanned, spanned_list};
use crate::model::{Filter, Input, InputType, Output, Schedule, Secret, Trigger};
use crate::token::{Kind, Token};
use crate::trigger::check_patterns;
use indexmap::IndexMap;
use lem_model::Place;

pub(super) fn triggers(converter: &mut Converter<'_>, on: &Token) -> Vec<Trigger> {
    match &on.kind {
        Kind::String(event) => vec![bare(event, &on.place)],
        Kind::Sequence(items) => items.iter().filter_map(|item| Some(bare(item.as_str()?, &item.place))).collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .filter_map(|(event, config)| Some(trigger(converter, event, event.as_str()?, config)))
            .collect(),
        _ => vec![],
    }
}

fn bare(event: &str, place: &Place) -> Trigger {
    Trigger {
        event: event.to_owned(),
        place: place.clone(),
        types: None,
        branches: Filter::default(),
        tags: Filter::default(),
        paths: Filter::default(),
        workflows: vec![],
        names: vec![],
        versions: vec![],
        schedule: vec![],
        inputs: IndexMap::new(),
        secrets: IndexMap::new(),
        outputs: IndexMap::new(),
        raw: None,
    }
}

fn trigger(converter: &mut Converter<'_>, key: &Token, event: &str, config: &Token) -> Trigger {
    let list = |name: &str| config.get(name).map(spanned_list);
    let filter = |name: &str| Filter { only: list(name), ignore: list(&format!("{name}-ignore")) };
    let mut trigger = Trigger {
        types: list("types"),
        branches: filter("branches"),
        tags: filter("tags"),
        paths: filter("paths"),
        workflows: list("workflows").unwrap_or_default(),
        names: list("names").unwrap_or_default(),
        versions: list("versions").unwrap_or_default(),
        raw: Some(config.clone()),
        ..bare(event, &key.place)
    };
    match event {
        "schedule" => trigger.schedule = schedule(converter, config),
        "workflow_dispatch" | "workflow_call" => declarations(converter, &mut trigger, config),
        _ => {}
    }
    if converter.checks == Checks::All {
        check_filters(converter, &trigger, config);
        for diagnostic in check_patterns(&trigger) {
            converter.problems.push(diagnostic);
        }
    }
    trigger
}

/// A filter and its `-ignore` twin exclude each other.
fn check_filters(converter: &mut Converter<'_>, trigger: &Trigger, config: &Token) {
    for (name, filter) in [("branches", &trigger.branches), ("tags", &trigger.tags), ("paths", &trigger.paths)] {
        if filter.only.is_some() && filter.ignore.is_some() {
            let message = format!("'{name}' and '{name}-ignore' may not both be given for one event");
            let hint = format!("put the patterns of {name}-ignore into {name}, each with a leading !");
            let place = config.get(&format!("{name}-ignore")).map_or(&trigger.place, |token| &token.place);
            converter.problems.with_hint(place, "events", &message, Some(hint));
        }
    }
}

fn schedule(converter: &mut Converter<'_>, config: &Token) -> Vec<Schedule> {
    let mut found = vec![];
    for item in config.items().unwrap_or_default() {
        let Some(cron) = item.get("cron").and_then(spanned) else { continue };
        if !is_cron(&cron.value) {
            let message = "Invalid cron expression. Expected format: '* * * * *' (minute hour day month weekday)";
            converter.problems.at(&cron.place, "cron", message);
        }
        found.push(Schedule { cron, timezone: item.get("timezone").and_then(spanned) });
    }
    found
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Lowest and highest number of a field, its names, and the number of the first name.
type Range = (u32, u32, &'static [&'static str], u32);

fn is_cron(text: &str) -> bool {
    let ranges: [Range; 5] = [(0, 59, &[], 0), (0, 23, &[], 0), (1, 31, &[], 0), (1, 12, &MONTHS, 1), (0, 6, &DAYS, 0)];
    let parts: Vec<&str> = text.split(' ').filter(|part| !part.is_empty()).collect();
    parts.len() == 5 && parts.iter().zip(ranges).all(|(part, range)| part.split(',').all(|item| cron_item(item, range)))
}

/// `*`, `5`, `1-5`, `*/10`, `1-5/2`.
fn cron_item(item: &str, range: Range) -> bool {
    let (base, step) = item.split_once('/').map_or((item, None), |(base, step)| (base, Some(step)));
    if step.is_some_and(|step| step.parse::<u32>().map_or(true, |step| step == 0 || step > range.1)) {
        return false;
    }
    let number = |text: &str| {
        let name = range.2.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = name.map(|at| at as u32 + range.3).or_else(|| text.parse().ok())?;
        (range.0..=range.1).contains(&value).then_some(value)
    };
    match base.split_once('-') {
        _ if base == "*" => true,
        Some((from, to)) => matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to),
        None => number(base).is_some(),
    }
}

fn declarations(converter: &mut Converter<'_>, trigger: &mut Trigger, config: &Token) {
    let named = |key: &str| config.get(key).and_then(Token::entries).unwrap_or_default();
    for (name, body) in named("inputs") {
        let Some(id) = name.as_str() else { continue };
        let input = input(name, body);
        if trigger.event == "workflow_dispatch" {
            check_input(converter, &input, body);
        }
        trigger.inputs.insert(id.to_owned(), input);
    }
    for (name, body) in named("secrets") {
        let Some(id) = name.as_str() else { continue };
        let required = body.get("required").and_then(Token::as_bool).unwrap_or_default();
        let secret = Secret { place: name.place.clone(), required, raw: body.clone() };
        trigger.secrets.insert(id.to_owned(), secret);
    }
    for (name, body) in named("outputs") {
        let Some(id) = name.as_str() else { continue };
        trigger.outputs.insert(id.to_owned(), Output { place: name.place.clone(), value: body.get("value").cloned() });
    }
}

fn input(name: &Token, body: &Token) -> Input {
    let text = |key: &str| body.get(key).and_then(Token::as_str);
    let kind = match text("type") {
        Some("boolean") => InputType::Boolean,
        Some("number") => InputType::Number,
        Some("choice") => InputType::Choice,
        Some("environment") => InputType::Environment,
        _ => InputType::String,
    };
    let options = body.get("options").and_then(Token::items).unwrap_or_default();
    Input {
        place: name.place.clone(),
        kind,
        description: text("description").map(str::to_owned),
        required: body.get("required").and_then(Token::as_bool).unwrap_or_default(),
        default: body.get("default").cloned(),
        options: options.iter().filter_map(Token::as_str).map(str::to_owned).collect(),
        raw: body.clone(),
    }
}

fn check_input(converter: &mut Converter<'_>, input: &Input, body: &Token) {
    let has_options = body.get("options").is_some();
    if input.kind == InputType::Choice && input.options.is_empty() {
        converter.problems.token(body, "inputs", "Missing 'options' for choice input");
    }
    if input.kind != InputType::Choice && has_options {
        converter.problems.token(body, "inputs", "Input type is not 'choice', but 'options' is defined");
    }
    let wrong = |default: &&Token| input.kind == InputType::Boolean && default.as_bool().is_none();
    if let Some(default) = input.default.as_ref().filter(wrong).filter(|_| converter.checks == Checks::All) {
        converter.problems.token(default, "inputs", "the default of a boolean input must be true or false");
    }
}
