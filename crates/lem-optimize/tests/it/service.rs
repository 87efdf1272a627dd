//! The stage over a ledger in memory.

use crate::graph::{graph, resource, text};
use async_trait::async_trait;
use lem_ledger::Recorder;
use lem_model::TeamReport;
use lem_model::fact::*;
use lem_model::money::Money;
use lem_model::port::{ResourceGraphs, SourceError};
use lem_model::resource::{Attribute, ResourceAction, ResourceGraph};
use lem_model::{Digest, Fact};
use lem_optimize::plan::allocate::Owner;
use lem_optimize::plan::ownership::Attributed;
use lem_optimize::report::finance;
use lem_optimize::{Config, OptimizeOptions, OptimizeService};
use lem_testkit::{MemoryLog, SeededClock, SeededIds};
use std::path::Path;
use std::sync::Arc;

struct Fixed(Vec<ResourceGraph>);

#[async_trait]
impl ResourceGraphs for Fixed {
    async fn graphs(&self, _directory: &Path) -> Result<Vec<ResourceGraph>, SourceError> {
        Ok(self.0.clone())
    }
}

const FILE: &str = "resource \"aws_instance\" \"web\" {\n  instance_type = \"t3.micro\" # small\n}\n";

struct Story {
    folder: tempfile::TempDir,
    log: MemoryLog,
    clock: Arc<SeededClock>,
    recorder: Recorder,
    service: OptimizeService,
}

fn story(config: Config) -> Story {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("infra")).unwrap();
    std::fs::write(folder.path().join("infra/main.tf"), FILE).unwrap();
    let clock = Arc::new(SeededClock::new());
    let log = MemoryLog::new(clock.clone());
    let shared: Arc<dyn lem_ledger::EventLog> = Arc::new(log.clone());
    let tags = Attribute::Map([("service".to_owned(), text("shop"))].into_iter().collect());
    let web = resource("aws_instance.web", "aws_instance", &[("instance_type", text("t3.micro")), ("tags", tags)]);
    let graphs = Fixed(vec![graph([web, resource("aws_quantum_thing.q", "aws_quantum_thing", &[])])]);
    let recorder =
        |source: &str, seed| Recorder::with(shared.clone(), source, clock.clone(), Arc::new(SeededIds::from(seed)));
    let service = OptimizeService::new(OptimizeOptions {
        recorder: recorder("/lem/optimize", 1000),
        config,
        root: folder.path().to_owned(),
        data: folder.path().join(".lem"),
        graphs: Arc::new(graphs),
        symptoms: None,
        metrics: None,
    });
    Story { recorder: recorder("/test", 1), folder, log, clock, service }
}

impl Story {
    async fn tell<F: Fact>(&self, fact: &F) {
        let appended = self.recorder.record(fact).await.unwrap();
        let event = self.log.events().into_iter().find(|e| e.seq == appended.seq).unwrap();
        self.service.hear(&event).await.unwrap();
    }

    /// The report of finance once the state has all that was said.
    async fn finance(&self, costs: &[Attributed], config: &Config) -> TeamReport {
        let last = self.log.events().last().unwrap().seq;
        self.service.state().wait_for(last).await;
        self.service.state().read(|s| finance(s, costs, config, jiff::Timestamp::UNIX_EPOCH))
    }

    fn said<F: Fact>(&self) -> Vec<F> {
        self.log.events().iter().filter_map(|e| e.read::<F>()).collect()
    }
}

fn plan(number: u8, action: ResourceAction) -> PlanFinished {
    PlanFinished {
        plan: Digest::of(&[number]),
        root: "infra".into(),
        environment: "production".into(),
        engine: "native".into(),
        counts: PlanCounts::default(),
        changes: vec![ResourceChange {
            address: "aws_instance.web".into(),
            kind: "aws_instance".into(),
            action,
            attributes: vec![],
            place: "infra/main.tf:1".into(),
        }],
        sha: None,
        by: "person:ann".into(),
    }
}

#[tokio::test]
async fn a_plan_is_priced_and_its_budget_judged_once() {
    let text = "budgets: [{name: small, environment: production, monthly: 5 USD}]";
    let node = lem_engine_yaml::parse_one(text, "lem.yaml", lem_engine_yaml::Options::default()).0.unwrap();
    let story = story(Config::read(&lem_engine_yaml::Reader::new("lem.yaml"), &node));
    story.tell(&plan(1, ResourceAction::Create)).await;
    story.tell(&plan(1, ResourceAction::Create)).await;
    let costs = story.said::<CostEstimated>();
    assert_eq!(costs.len(), 1, "the same plan is priced once");
    assert_eq!((costs[0].before.to_string(), costs[0].after.to_string()), ("$0.00".into(), "$7.59".into()));
    assert!(costs[0].unknown.iter().any(|u| u.address == "aws_quantum_thing.q"));
    let exceeded = story.said::<BudgetExceeded>();
    assert_eq!((exceeded.len(), exceeded[0].estimate.to_string()), (1, "$7.59".into()));
    // A second plan knows what the first one recorded.
    story.tell(&plan(2, ResourceAction::Update)).await;
    let second = &story.said::<CostEstimated>()[1];
    assert_eq!((second.before.to_string(), second.after.to_string()), ("$7.59".into(), "$7.59".into()));
    let report = story.finance(&[], &Config::default()).await;
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(
        titles[..4],
        ["Cost by service", "Cost by environment", "Cost by team", "Latest plan of every environment"]
    );
    let moved = &report.sections[4].rows;
    assert_eq!((moved.len(), moved[0].cells[2].as_str()), (1, "+$7.59"));
    assert!(moved[0].event.is_some(), "each row leads to its evidence");
}

#[tokio::test]
async fn the_budget_of_finance_is_about_all_files_not_about_one_plan() {
    let text = "budgets: [{name: all, monthly: 100 USD}, {name: staging, environment: staging, monthly: 100 USD}]";
    let node = lem_engine_yaml::parse_one(text, "lem.yaml", lem_engine_yaml::Options::default()).0.unwrap();
    let config = Config::read(&lem_engine_yaml::Reader::new("lem.yaml"), &node);
    let story = story(config.clone());
    story.tell(&plan(1, ResourceAction::Create)).await;
    let cost = |environment: &str, dollars: i64| Attributed {
        address: format!("aws_instance.{environment}"),
        place: "main.tf:1".into(),
        environment: environment.into(),
        service: "shop".into(),
        owner: Owner::nobody(),
        monthly: Some(Money::usd(dollars.into())),
        partial: false,
    };
    let costs = [cost("production", 90), cost("staging", 30)];
    let report = story.finance(&costs, &config).await;
    let budgets = report.sections.iter().find(|s| s.title == "Budgets").unwrap();
    let rows: Vec<_> = budgets.rows.iter().map(|r| (r.cells[3].as_str(), r.cells[4].as_str())).collect();
    assert_eq!(rows, [("$120.00", "exceeded"), ("$30.00", "kept")]);
    assert!(budgets.rows.iter().all(|r| r.event.is_none()), "no event says what files cost");
    // Two currencies have no sum, and none is made up from what comes after the foreign one.
    let euros =
        Attributed { monthly: Some(Money { amount: 5.into(), currency: "EUR".into() }), ..cost("production", 0) };
    let mixed = [cost("production", 90), euros, cost("production", 30)];
    let report = story.finance(&mixed, &config).await;
    let budgets = report.sections.iter().find(|s| s.title == "Budgets").unwrap();
    assert_eq!(budgets.rows[0].cells[3..], ["unknown", "not in one currency"]);
    let none = story.finance(&[], &config).await;
    let budgets = none.sections.iter().find(|s| s.title == "Budgets").unwrap();
    assert_eq!(budgets.rows[0].cells[3..], ["$7.59", "kept"], "the last plan stands where no file has a price");
    assert!(budgets.rows[0].event.is_some(), "and leads to it");
}

#[tokio::test]
async fn an_update_without_an_earlier_estimate_has_an_unknown_side() {
    let story = story(Config::default());
    story.tell(&plan(1, ResourceAction::Update)).await;
    let cost = &story.said::<CostEstimated>()[0];
    assert_eq!((cost.before.to_string(), cost.after.to_string()), ("$0.00".into(), "$0.00".into()));
    assert!(cost.unknown.iter().any(|u| u.reason == "what it cost before is not recorded"), "{:?}", cost.unknown);
}

fn short_of_memory() -> RecommendationRequested {
    RecommendationRequested {
        target: "shop".into(),
        environment: "production".into(),
        reason: "memory ran short: 2 kills".into(),
        incident: Some("INC-1".into()),
        by: "policy:feedback".into(),
    }
}

fn commit(letter: char) -> ChangeMerged {
    ChangeMerged {
        description: None,
        repository: None,
        sha: letter.to_string().repeat(40).into(),
        parent: None,
        branch: "main".into(),
        author: "Ann <ann@example.com>".into(),
        message: String::new(),
        committed_at: None,
        files: vec![],
        files_omitted: 0,
    }
}

#[tokio::test]
async fn an_incident_becomes_a_patch_that_is_observed_when_it_is_applied_and_when_it_is_taken_back() {
    let story = story(Config::default());
    story.tell(&short_of_memory()).await;
    story.tell(&short_of_memory()).await;
    let created = story.said::<RecommendationCreated>();
    assert_eq!(created.len(), 1, "said once");
    let patch = created[0].patch.clone().unwrap();
    let path = story.folder.path().join("infra/main.tf");
    let standings = || story.said::<RecommendationMoved>().into_iter().map(|m| m.standing).collect::<Vec<_>>();
    story.tell(&commit('a')).await;
    assert_eq!(standings(), ["proposed"], "nothing is applied by being proposed");
    let new = lem_optimize::patch::apply("infra/main.tf", FILE, &patch).unwrap();
    assert_eq!(new, FILE.replace("t3.micro", "t3.small"));
    std::fs::write(&path, new).unwrap();
    story.tell(&commit('b')).await;
    assert_eq!(standings(), ["proposed", "applied"]);
    std::fs::write(&path, FILE).unwrap();
    story.tell(&commit('c')).await;
    assert_eq!(standings(), ["proposed", "applied", "reverted"]);
}

#[tokio::test]
async fn what_nobody_takes_up_expires_and_what_cannot_be_measured_is_inconclusive() {
    let story = story(Config::default());
    story.tell(&short_of_memory()).await;
    story.clock.advance(jiff::SignedDuration::from_hours(30 * 24));
    story.service.look().await.unwrap();
    assert_eq!(story.said::<RecommendationMoved>().last().unwrap().standing, "expired");

    let other = self::story(Config::default());
    other.tell(&short_of_memory()).await;
    std::fs::write(other.folder.path().join("infra/main.tf"), FILE.replace("t3.micro", "t3.small")).unwrap();
    other.tell(&commit('a')).await;
    other.clock.advance(jiff::SignedDuration::from_hours(7 * 24));
    other.service.look().await.unwrap();
    assert_eq!(other.said::<RecommendationMoved>().last().unwrap().standing, "inconclusive");
}

#[tokio::test]
async fn a_job_that_takes_more_of_the_critical_path_is_named() {
    let story = story(Config::default());
    for (run, test_ms) in [("r1", 10_000), ("r2", 10_000), ("r3", 10_000), ("r4", 40_000)] {
        let sha = lem_model::CommitSha::from("a".repeat(40));
        let job = |job: &str, needs: &[&str]| PlannedJob {
            job: job.into(),
            name: job.into(),
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        };
        story
            .tell(&RunQueued {
                run: run.into(),
                pipeline_name: "ci".into(),
                uri: String::new(),
                sha: sha.clone(),
                branch: "main".into(),
                file: "ci.yml".into(),
                event: "push".into(),
                jobs: vec![job("build", &[]), job("test", &["build"])],
                marks: vec![],
            })
            .await;
        for (job, duration_ms) in [("build", 10_000), ("test", test_ms)] {
            story
                .tell(&JobFinished {
                    task_name: job.into(),
                    uri: String::new(),
                    pipeline_run: Ref::to(run),
                    outcome: Outcome::Success,
                    errors: None,
                    run: run.into(),
                    job: job.into(),
                    sha: sha.clone(),
                    conclusion: Outcome::Success,
                    duration_ms,
                })
                .await;
        }
        story
            .tell(&RunFinished {
                run: run.into(),
                pipeline_name: "ci".into(),
                uri: String::new(),
                outcome: Outcome::Success,
                errors: None,
                sha,
                branch: "main".into(),
                duration_ms: 10_000 + test_ms,
                queued_ms: 0,
            })
            .await;
    }
    let created = story.said::<RecommendationCreated>();
    assert_eq!(created.len(), 1);
    assert_eq!(
        created[0].sentence,
        "job test takes 80 % of the critical path of ci instead of 50 %: 40.0 s instead of 10.0 s"
    );
}
