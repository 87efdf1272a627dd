//! `lem cost` and `lem tune`. Both work in any directory, without configuration, ledger or network.

mod prices;
mod tune;

use crate::cli::{By, Cli, Cost};
use crate::exit::{Failure, invalid, negative, usage};
use crate::print::{document, table};
use crate::settings::Settings;
use jiff::Timestamp;
use lem_engine_yaml::Reader;
use lem_model::port::{GateAnswer, ResourceGraphs};
use lem_model::resource::ResourceGraph;
use lem_model::{Clock, Diagnostic};
use lem_optimize::engine::plan_json;
use lem_optimize::execute::day_of;
use lem_optimize::focus::{read, write};
use lem_optimize::infracost::json;
use lem_optimize::plan::allocate::{CodeOwners, Owner};
use lem_optimize::plan::estimate::Estimate;
use lem_optimize::plan::ownership::{Attributed, Dimension, attribute, owner, shares};
use lem_optimize::{Config, Pricer, text};
use lem_source::CONFIG_FILE;
use serde_json::json as object;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use tune::tune;

/// Where CODEOWNERS files stand.
const OWNERS: [&str; 4] = ["CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS", "docs/CODEOWNERS"];

/// Evaluates infrastructure files.
pub(crate) fn graphs() -> Arc<dyn ResourceGraphs> {
    Arc::new(lem_provision::Graphs)
}

/// Who owns which path of a repository.
pub(crate) fn owners_of(root: &Path) -> CodeOwners {
    let text = OWNERS.iter().find_map(|name| std::fs::read_to_string(root.join(name)).ok());
    text.map_or_else(CodeOwners::default, |text| CodeOwners::read(&text))
}

/// Everything a command needs.
pub(crate) struct Desk {
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) pricer: Pricer,
}

/// A graph with its cost.
struct Priced {
    graph: ResourceGraph,
    estimate: Estimate,
}

impl Desk {
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let settings = Settings::read(directory, None)?;
        let reader = Reader::new(CONFIG_FILE);
        let config = settings.project.section("optimize").map_or_else(Config::default, |n| Config::read(&reader, n));
        let found = reader.into_diagnostics();
        if found.iter().any(Diagnostic::is_error) {
            return Err(invalid(found));
        }
        let root = settings.project.root.clone();
        let clock: Arc<dyn Clock> = Arc::new(lem_ledger::SystemClock);
        let pricer = Pricer { root: root.clone(), data: settings.data.clone(), config, clock };
        Ok(Self { root, settings, pricer })
    }

    /// Graphs of the files, or of one plan.
    async fn priced(&self, directory: &Path, plan: Option<&Path>) -> Result<Vec<Priced>, Failure> {
        let graphs = match plan {
            Some(path) => vec![read_plan(path)?],
            None => self.of_files(directory).await?,
        };
        let (_, mut found) = self.pricer.book();
        let mut priced = vec![];
        for graph in graphs {
            found.extend(graph.diagnostics.iter().cloned());
            let (estimate, said) = self.pricer.price(&graph);
            found.extend(said);
            priced.push(Priced { graph, estimate });
        }
        warn(&found);
        Ok(priced)
    }

    pub(crate) async fn of_files(&self, directory: &Path) -> Result<Vec<ResourceGraph>, Failure> {
        graphs().graphs(directory).await.map_err(|e| usage(e.to_string()))
    }

    fn owners(&self) -> CodeOwners {
        owners_of(&self.root)
    }

    fn attributed(&self, priced: &[Priced]) -> Vec<Attributed> {
        let owners = self.owners();
        priced.iter().flat_map(|p| attribute(&p.graph, &p.estimate, &owners, &self.pricer.config)).collect()
    }
}

fn read_plan(path: &Path) -> Result<ResourceGraph, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| usage(format!("cannot read {}: {e}", path.display())))?;
    plan_json::read(&path.display().to_string(), &text).map_err(|diagnostic| invalid(vec![diagnostic]))
}

fn warn(found: &[Diagnostic]) {
    let mut seen = std::collections::BTreeSet::new();
    for diagnostic in found.iter().map(ToString::to_string).filter(|d| seen.insert(d.clone())) {
        eprintln!("{diagnostic}");
    }
}

/// Runs one of them; `show` when none is named.
pub(crate) async fn cost(cli: &Cli, command: Option<&Cost>, directory: &Path) -> Result<(), Failure> {
    let desk = Desk::open(directory)?;
    match command {
        None => show(cli, &desk, directory, None).await,
        Some(Cost::Show { plan }) => show(cli, &desk, directory, plan.as_deref()).await,
        Some(Cost::Plan { plan }) => plan_cost(cli, &desk, directory, plan.as_deref()).await,
        Some(Cost::Allocate { by, plan }) => allocate(cli, &desk, directory, *by, plan.as_deref()).await,
        Some(Cost::Budget { plan }) => budget(cli, &desk, directory, plan.as_deref()).await,
        Some(Cost::Export { focus, plan }) => export(&desk, directory, focus, plan.as_deref()).await,
        Some(Cost::Import { file }) => import(cli, &desk, file),
        Some(Cost::Prices { command }) => prices::prices(cli, &desk, command.as_ref()).await,
    }
}

async fn show(cli: &Cli, desk: &Desk, directory: &Path, plan: Option<&Path>) -> Result<(), Failure> {
    let priced = desk.priced(directory, plan).await?;
    print_each(cli, &priced, |p| {
        let today = desk.pricer.today();
        format!("{}{}\n\n{}", heading(&p.graph), text::total(&p.estimate), text::breakdown(&p.estimate, today))
    });
    Ok(())
}

async fn plan_cost(cli: &Cli, desk: &Desk, directory: &Path, plan: Option<&Path>) -> Result<(), Failure> {
    let priced = desk.priced(directory, plan).await?;
    print_each(cli, &priced, |p| {
        let today = desk.pricer.today();
        format!("{}{}\n\n{}", heading(&p.graph), text::change(&p.estimate), text::breakdown(&p.estimate, today))
    });
    judge(desk, &priced).map(|_| ())
}

fn heading(graph: &ResourceGraph) -> String {
    let environment = graph.environment.as_ref().map_or(String::new(), |e| format!(" ({e})"));
    let root = if graph.root.is_empty() { "." } else { &graph.root };
    format!("{root}{environment}: ")
}

fn print_each(cli: &Cli, priced: &[Priced], text: impl Fn(&Priced) -> String) {
    let now = Timestamp::now();
    let documents: Vec<_> =
        priced.iter().map(|p| json::document(&p.estimate, &p.graph.root, &p.graph.root, now)).collect();
    // One root is Infracost's document as it is; several are a list of them.
    let value = if let [one] = &documents[..] { one.clone() } else { object!(documents) };
    document(cli.output, &value, |_| {
        let all: Vec<String> = priced.iter().map(text).collect();
        if all.is_empty() { "no infrastructure files here\n".to_owned() } else { all.join("\n") }
    });
}

async fn allocate(cli: &Cli, desk: &Desk, directory: &Path, by: By, plan: Option<&Path>) -> Result<(), Failure> {
    let priced = desk.priced(directory, plan).await?;
    let dimension = match by {
        By::Service => Dimension::Service,
        By::Environment => Dimension::Environment,
        By::Team => Dimension::Team,
    };
    let all = shares(&desk.attributed(&priced), dimension, &desk.pricer.config.currency);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|s| {
            let least = if s.unknown > 0 { "at least " } else { "" };
            vec![s.name.clone(), format!("{least}{}", s.monthly), s.resources.to_string(), s.unknown.to_string()]
        })
        .collect();
    document(cli.output, &object!(all), |_| table(&["NAME", "A MONTH", "RESOURCES", "WITH UNKNOWN"], &rows));
    Ok(())
}

async fn budget(cli: &Cli, desk: &Desk, directory: &Path, plan: Option<&Path>) -> Result<(), Failure> {
    let priced = desk.priced(directory, plan).await?;
    if desk.pricer.config.budgets.is_empty() {
        return Err(usage("lem.yaml has no optimize.budgets; add - {name: all, monthly: 500 USD}"));
    }
    let (rows, result) = match judge(desk, &priced) {
        Ok(rows) => (rows, Ok(())),
        Err(failure) => (standing_rows(desk, &priced), Err(failure)),
    };
    document(cli.output, &object!(rows), |_| table(&["BUDGET", "LIMIT", "ESTIMATE", "USED", "ANSWER"], &rows));
    result
}

fn standing_rows(desk: &Desk, priced: &[Priced]) -> Vec<Vec<String>> {
    standings(desk, priced)
        .iter()
        .map(|s| {
            let known = s.estimate.as_ref().map_or("unknown".to_owned(), ToString::to_string);
            let percent = s.percent.map_or("unknown".to_owned(), |p| format!("{} %", p.normalize()));
            let answer = match (&s.answer, s.warning()) {
                (GateAnswer::Deny(why), _) => why.clone(),
                (GateAnswer::Allow, Some(threshold)) => format!("kept, over {threshold} %"),
                (GateAnswer::Allow, None) => "kept".to_owned(),
            };
            vec![s.budget.name.clone(), s.budget.monthly.to_string(), known, percent, answer]
        })
        .collect()
}

fn standings(desk: &Desk, priced: &[Priced]) -> Vec<lem_optimize::plan::budget::Standing> {
    let budgets = &desk.pricer.config.budgets;
    let own = |p: &Priced| {
        let covering = budgets.iter().filter(|b| b.covers(p.graph.environment.as_ref()));
        covering.map(|b| b.judge(&p.estimate)).collect::<Vec<_>>()
    };
    priced.iter().flat_map(own).collect()
}

/// The budget gate: exit 1 with every rule that is broken.
fn judge(desk: &Desk, priced: &[Priced]) -> Result<Vec<Vec<String>>, Failure> {
    let denied = |s: &lem_optimize::plan::budget::Standing| match &s.answer {
        GateAnswer::Deny(why) => Some(why.clone()),
        GateAnswer::Allow => None,
    };
    let broken: Vec<String> = standings(desk, priced).iter().filter_map(denied).collect();
    if broken.is_empty() { Ok(standing_rows(desk, priced)) } else { Err(negative(broken.join("\n"))) }
}

async fn export(desk: &Desk, directory: &Path, to: &Path, plan: Option<&Path>) -> Result<(), Failure> {
    let priced = desk.priced(directory, plan).await?;
    let owners = desk.owners();
    let (mut rows, mut unpriced) = (String::new(), String::new());
    let (mut count, mut unknown) = (0, 0);
    for p in &priced {
        let environment = p.graph.environment.as_ref().map_or("", |e| e.as_str());
        let account = write::Account { id: "local", environment, month: day_of(Timestamp::now()) };
        let whose = |line: &lem_optimize::plan::estimate::Line| match p.graph.resource(&line.address) {
            Some(resource) => owner(resource, &owners, &desk.pricer.config),
            None => Owner::nobody(),
        };
        let found = write::export(&p.estimate, &account, &whose);
        append(&mut rows, &found.rows);
        append(&mut unpriced, &found.unpriced);
        count += found.count;
        unknown += found.unknown;
    }
    put(to, &rows)?;
    let companion = to.with_extension("unpriced.csv");
    put(&companion, &unpriced)?;
    eprintln!("{count} rows in {}; {unknown} components without a price in {}", to.display(), companion.display());
    Ok(())
}

/// A second table under the header of the first.
fn append(to: &mut String, table: &str) {
    let skip = if to.is_empty() { 0 } else { table.find('\n').map_or(0, |at| at + 1) };
    *to += &table[skip..];
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| usage(format!("cannot write {}: {e}", path.display())))
}

fn import(cli: &Cli, desk: &Desk, file: &Path) -> Result<(), Failure> {
    let input = std::fs::File::open(file).map_err(|e| usage(format!("cannot read {}: {e}", file.display())))?;
    let bill = read::read(&file.display().to_string(), std::io::BufReader::new(input)).map_err(invalid)?;
    let sums = bill.by("ServiceName");
    let rows: Vec<Vec<String>> = sums.iter().map(|((name, _), money)| vec![name.clone(), money.to_string()]).collect();
    let value = object!({"charges": bill.charges.len(), "rejected": bill.rejected.len(), "services": rows});
    document(cli.output, &value, |_| table(&["SERVICE", "EFFECTIVE COST"], &rows));
    let rates = bill.effective_rates();
    let path = desk.settings.data.join(lem_optimize::execute::EFFECTIVE_FILE);
    if !rates.is_empty() {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| usage(format!("cannot create {}: {e}", folder.display())))?;
        }
        put(&path, &rates.csv())?;
        eprintln!("{} effective rates in {}", rates.len(), path.display());
    }
    if !bill.rejected.is_empty() {
        let rejected = file.with_extension("rejected.csv");
        put(&rejected, &bill.rejected_csv())?;
        return Err(negative(format!("{} rows were rejected; {} says why", bill.rejected.len(), rejected.display())));
    }
    Ok(())
}
