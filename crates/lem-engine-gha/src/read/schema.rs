//! What a workflow file may hold: which keys, which values, and which contexts and functions at each key.
//!
//! The rules are those of the service's `workflow-v1.0` schema in a notation of one line a definition, read once:
//! `NAME [<CONTEXT ...>] = KIND`, where KIND is `null`, `bool`, `number`, `string`, `text` (not empty), `seq ITEM`,
//! `one A B ...`, `values A B ...`, or `map KEY:TYPE KEY!:TYPE ... *KEYTYPE:VALUETYPE`; `!` marks a required key,
//! `*` the type of keys that are the user's own. `$NAME` in a context list stands for a list named before.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A definition.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Contexts and functions that become legal here, besides those of the parents.
    pub(crate) names: Vec<&'static str>,
    /// What may stand here.
    pub(crate) rule: Rule,
}

/// What may stand at a place.
#[derive(Debug)]
pub(crate) enum Rule {
    Null,
    Bool,
    Number,
    String,
    NonEmpty,
    Constant(&'static str),
    Sequence(&'static str),
    OneOf(Vec<&'static str>),
    Mapping(Mapping),
}

/// Keys of a mapping.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    pub(crate) keys: Vec<Key>,
    /// Types of key and value of keys that are the user's own.
    pub(crate) loose: Option<(&'static str, &'static str)>,
}

/// A well-known key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) required: bool,
}

impl Mapping {
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const LISTS: &str = "
$run github inputs vars
$needs $run needs
$matrix $needs strategy matrix
$job $matrix steps job runner env
$step $matrix secrets steps job runner env hashFiles(1,255)
$status always(0,0) failure(0,MAX) cancelled(0,0) success(0,MAX)
$step-status always(0,0) failure(0,0) cancelled(0,0) success(0,0) hashFiles(1,255)
";

const RULES: &str = "
null = null
boolean = bool
number = number
string = string
text = text
any = one null boolean number string sequence mapping
sequence = seq any
mapping = map *string:any
texts = seq text
strings = seq string
text-or-texts = one text texts

root = map on!:on name:string description:string run-name:run-name defaults:defaults env:workflow-env permissions:permissions concurrency:workflow-concurrency jobs!:jobs
run-name <$run> = string
workflow-env <$run secrets> = map *text:string
defaults = map run:defaults-run
defaults-run = map shell:text working-directory:text
jobs = map *text:job
on = one event-name event-names events
event-names = seq event-name

schedule = seq cron
cron = map cron!:text timezone:text
call = one null call-mapping
call-mapping = map inputs:call-inputs secrets:call-secrets outputs:call-outputs
call-inputs = map *text:call-input
call-input = map description:string type!:call-input-type required:boolean default:call-input-default
call-input-type = values string boolean number
call-input-default <$run> = one string boolean number
call-secrets = map *text:call-secret
call-secret = one null call-secret-mapping
call-secret-mapping = map description:string required:boolean
call-outputs = map *text:call-output
call-output = map description:string value!:call-output-value
call-output-value <$run jobs> = string
dispatch = one null dispatch-mapping
dispatch-mapping = map inputs:dispatch-inputs
dispatch-inputs = map *text:dispatch-input
dispatch-input = map description:string type:dispatch-input-type required:boolean default:scalar options:strings
dispatch-input-type = values string boolean number environment choice
scalar = one string boolean number
repository-dispatch = one null repository-dispatch-mapping
repository-dispatch-mapping = map types:text-or-texts

permissions = one permissions-mapping permissions-all
permissions-all = values read-all write-all
permissions-mapping = map actions:level artifact-metadata:level attestations:level checks:level contents:level copilot-requests:level-write deployments:level discussions:level id-token:level-write issues:level models:level-read packages:level pages:level pull-requests:level repository-projects:level security-events:level statuses:level vulnerability-alerts:level-read
level = values read write none
level-read = values read none
level-write = values write none

job = one job-steps job-call
job-steps = map needs:needs if:job-if strategy:strategy name:string-matrix runs-on!:runs-on timeout-minutes:number-matrix cancel-timeout-minutes:number-matrix continue-on-error:boolean-matrix container:container services:services env:job-env environment:environment permissions:permissions concurrency:job-concurrency outputs:job-outputs defaults:job-defaults steps:steps snapshot:snapshot
job-call = map name:string-matrix uses!:text with:call-with secrets:call-with-secrets needs:needs if:job-if permissions:permissions concurrency:job-concurrency strategy:strategy
call-with = map *text:call-value
call-value <$matrix> = one string boolean number
call-with-secrets = one call-with-secrets-mapping call-with-secrets-inherit
call-with-secrets-mapping = map *text:call-secret-value
call-with-secrets-inherit = values inherit
call-secret-value <$needs secrets strategy matrix> = one string boolean number
needs = one texts text
job-if <$needs $status> = string
strategy <$needs> = map fail-fast:boolean max-parallel:number matrix:matrix
matrix = map include:matrix-filter exclude:matrix-filter *text:sequence
matrix-filter = seq matrix-filter-item
matrix-filter-item = map *text:any
string-matrix <$matrix> = string
number-matrix <$matrix> = number
boolean-matrix <$matrix> = bool
runs-on <$matrix> = one text texts runs-on-mapping
runs-on-mapping = map group:text labels:text-or-texts
job-env <$matrix secrets> = map *text:string
workflow-concurrency <$run> = one string concurrency-mapping
job-concurrency <$matrix> = one text concurrency-mapping
concurrency-mapping = map group!:text cancel-in-progress:boolean queue:concurrency-queue
concurrency-queue = values single max
environment <$matrix> = one string environment-mapping
environment-mapping = map name!:environment-name url:environment-url deployment:boolean
environment-name <$matrix> = string
environment-url <$job> = string
job-defaults = map run:job-defaults-run
job-defaults-run <$matrix env> = map shell:text working-directory:text
job-outputs = map *text:job-output
job-output <$job secrets> = string
snapshot = one text snapshot-mapping
snapshot-mapping = map image-name!:text if:snapshot-if version:text
snapshot-if <$matrix> = string
container <$matrix> = one string container-mapping
container-mapping = map image:text options:string env:container-env ports:texts volumes:texts credentials:credentials
services <$matrix> = map *text:service
service <$matrix> = one string service-mapping
service-mapping = map image:string options:string env:container-env ports:texts volumes:texts credentials:credentials entrypoint:string command:string
container-env = map *text:container-env-value
container-env-value <$job secrets> = string
credentials <$run secrets env> = map username:text password:text

steps = seq step
step = one step-run step-uses step-wait step-wait-all step-cancel step-parallel
step-run = map name:step-string id:text if:step-if timeout-minutes:step-number run!:step-string continue-on-error:step-boolean env:step-map working-directory:step-string shell:text background:boolean
step-uses = map name:step-string id:text if:step-if continue-on-error:step-boolean timeout-minutes:step-number uses!:text with:step-map env:step-map background:boolean
step-wait = map name:step-string id:text continue-on-error:step-boolean wait!:text-or-texts
step-wait-all = map name:step-string id:text continue-on-error:step-boolean wait-all!:wait-all
step-cancel = map name:step-string id:text continue-on-error:step-boolean cancel!:text
step-parallel = map name:step-string id:text parallel!:parallel-steps
parallel-steps = seq parallel-step
parallel-step = one step-run step-uses
wait-all = one null boolean
step-if <$matrix steps job runner env $step-status> = string
step-string <$step> = string
step-number <$step> = number
step-boolean <$step> = bool
step-map <$step> = map *text:string
";

/// Events, the activity types each knows, and the filters it takes.
const EVENTS: &[(&str, &str, &str)] = &[
    ("branch_protection_rule", "created edited deleted", ""),
    ("check_run", "completed created rerequested requested_action", ""),
    ("check_suite", "completed", ""),
    ("create", "", ""),
    ("delete", "", ""),
    ("deployment", "", ""),
    ("deployment_status", "", ""),
    (
        "discussion",
        "created edited deleted transferred pinned unpinned labeled unlabeled locked unlocked category_changed answered unanswered",
        "",
    ),
    ("discussion_comment", "created edited deleted", ""),
    ("fork", "", ""),
    ("gollum", "", ""),
    ("image_version", "created ready deleted", "names versions"),
    ("issue_comment", "created edited deleted", ""),
    (
        "issues",
        "opened edited deleted transferred pinned unpinned closed reopened assigned unassigned labeled unlabeled locked unlocked milestoned demilestoned typed untyped field_added field_removed",
        "",
    ),
    ("label", "created edited deleted", ""),
    ("merge_group", "checks_requested", "branches"),
    ("milestone", "created closed opened edited deleted", ""),
    ("page_build", "", ""),
    ("project", "created closed reopened edited deleted", ""),
    ("project_card", "created moved converted edited deleted", ""),
    ("project_column", "created updated moved deleted", ""),
    ("public", "", ""),
    ("pull_request", PULL_REQUEST, "branches paths"),
    ("pull_request_comment", "created edited deleted", ""),
    ("pull_request_review", "submitted edited dismissed", ""),
    ("pull_request_review_comment", "created edited deleted", ""),
    ("pull_request_target", PULL_REQUEST, "branches paths"),
    ("push", "", "branches tags paths"),
    ("registry_package", "published updated", ""),
    ("release", "published unpublished created edited deleted prereleased released", ""),
    ("status", "", ""),
    ("watch", "started", ""),
    ("workflow_run", "requested completed in_progress", "workflows branches"),
];

const PULL_REQUEST: &str = "assigned unassigned labeled unlabeled opened edited closed reopened synchronize \
    converted_to_draft locked unlocked enqueued dequeued milestoned demilestoned ready_for_review review_requested \
    review_request_removed auto_merge_enabled auto_merge_disabled stacked";

/// Events whose configuration has a definition of its own.
const SPECIAL: &[(&str, &str)] = &[
    ("repository_dispatch", "repository-dispatch"),
    ("schedule", "schedule"),
    ("workflow_call", "call"),
    ("workflow_dispatch", "dispatch"),
];

static SCHEMA: LazyLock<HashMap<&'static str, Definition>> = LazyLock::new(build);

/// A definition by name.
pub(crate) fn definition(name: &str) -> &'static Definition {
    SCHEMA.get(name).expect("the schema names only definitions it has; a test visits them all")
}

fn build() -> HashMap<&'static str, Definition> {
    let lists = lists();
    let mut schema = HashMap::new();
    for line in RULES.lines().filter(|line| !line.trim().is_empty()) {
        let (head, kind) = line.split_once(" = ").expect("a rule has a name and a kind");
        let (name, names) = match head.split_once(" <") {
            Some((name, list)) => (name, expand(&lists, list.trim_end_matches('>'))),
            None => (head, vec![]),
        };
        add(&mut schema, name, names, kind);
    }
    events(&mut schema);
    schema
}

type Lists = Vec<(&'static str, Vec<&'static str>)>;

fn lists() -> Lists {
    let mut lists = Lists::new();
    for line in LISTS.lines().filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(' ').expect("a list has a name");
        let expanded = expand(&lists, rest);
        lists.push((name, expanded));
    }
    lists
}

fn expand(lists: &Lists, text: &'static str) -> Vec<&'static str> {
    let item = |word: &'static str| match lists.iter().find(|(name, _)| *name == word) {
        Some((_, items)) => items.clone(),
        None => vec![word],
    };
    text.split_whitespace().flat_map(item).collect()
}

fn add(
    schema: &mut HashMap<&'static str, Definition>,
    name: &'static str,
    names: Vec<&'static str>,
    kind: &'static str,
) {
    let (word, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let rule = match word {
        "null" => Rule::Null,
        "bool" => Rule::Bool,
        "number" => Rule::Number,
        "string" => Rule::String,
        "text" => Rule::NonEmpty,
        "seq" => Rule::Sequence(rest),
        "one" => Rule::OneOf(rest.split_whitespace().collect()),
        "values" => values(schema, rest),
        _ => Rule::Mapping(mapping(rest)),
    };
    schema.insert(name, Definition { names, rule });
}

/// One of some constants, each of which gets a definition under a name no other definition has.
fn values(schema: &mut HashMap<&'static str, Definition>, list: &'static str) -> Rule {
    let constant = |value: &'static str| {
        let name: &'static str = String::leak(format!("={value}"));
        schema.entry(name).or_insert(Definition { names: vec![], rule: Rule::Constant(value) });
        name
    };
    Rule::OneOf(list.split_whitespace().map(constant).collect())
}

fn mapping(list: &'static str) -> Mapping {
    let mut mapping = Mapping::default();
    for item in list.split_whitespace() {
        let (key, value) = item.split_once(':').expect("a key has a type");
        match key.strip_prefix('*') {
            Some(key) => mapping.loose = Some((key, value)),
            None => {
                let name = key.trim_end_matches('!');
                mapping.keys.push(Key { name, value, required: key.ends_with('!') });
            }
        }
    }
    mapping
}

fn events(schema: &mut HashMap<&'static str, Definition>) {
    let mut all = Mapping::default();
    for (event, types, filters) in EVENTS {
        let name: &'static str = String::leak(format!("event {event}"));
        all.keys.push(Key { name: event, value: name, required: false });
        let mut keys = Mapping::default();
        let mut key = |name: &'static str, value: &'static str| keys.keys.push(Key { name, value, required: false });
        if !types.is_empty() {
            let one: &'static str = String::leak(format!("{name} type"));
            let rule = values(schema, types);
            let many: &'static str = String::leak(format!("{name} types"));
            let either: &'static str = String::leak(format!("{name} activity"));
            schema.insert(one, Definition { names: vec![], rule });
            schema.insert(many, Definition { names: vec![], rule: Rule::Sequence(one) });
            schema.insert(either, Definition { names: vec![], rule: Rule::OneOf(vec![one, many]) });
            key("types", either);
        }
        for filter in filters.split_whitespace() {
            key(filter, "text-or-texts");
            match filter {
                "branches" => key("branches-ignore", "text-or-texts"),
                "tags" => key("tags-ignore", "text-or-texts"),
                "paths" => key("paths-ignore", "text-or-texts"),
                _ => {}
            }
        }
        let rule = if keys.keys.is_empty() {
            Rule::Null
        } else {
            let mapping: &'static str = String::leak(format!("{name} mapping"));
            schema.insert(mapping, Definition { names: vec![], rule: Rule::Mapping(keys) });
            Rule::OneOf(vec!["null", mapping])
        };
        schema.insert(name, Definition { names: vec![], rule });
    }
    all.keys.extend(SPECIAL.iter().map(|(name, value)| Key { name, value, required: false }));
    let names: Vec<&str> = all.keys.iter().map(|key| key.name).collect();
    let rule = values(schema, String::leak(names.join(" ")));
    schema.insert("event-name", Definition { names: vec![], rule });
    schema.insert("events", Definition { names: vec![], rule: Rule::Mapping(all) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_the_schema_uses_is_defined() {
        for (name, definition) in SCHEMA.iter() {
            let used: Vec<&str> = match &definition.rule {
                Rule::Sequence(item) => vec![item],
                Rule::OneOf(options) => options.clone(),
                Rule::Mapping(mapping) => {
                    let loose = mapping.loose.iter().flat_map(|(key, value)| [*key, *value]);
                    mapping.keys.iter().map(|key| key.value).chain(loose).collect()
                }
                _ => vec![],
            };
            for used in used {
                assert!(SCHEMA.contains_key(used), "{name} uses {used}");
            }
        }
    }
}
