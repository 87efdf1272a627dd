//! A small loop on paper: facts appended by hand at chosen seconds.

use jiff::Timestamp;
use lem_feedback::LoopState;
use lem_model::fact::*;
use lem_model::{Event, NewEvent};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn sha(letter: char) -> String {
    letter.to_string().repeat(40)
}

fn plan(letter: char, previous: Option<char>, migration: MigrationClass) -> ReleasePlanned {
    ReleasePlanned {
        deployment: format!("d-{letter}").into(),
        service: "shop".into(),
        environment: "production".into(),
        version: letter.to_string().into(),
        sha: sha(letter).into(),
        digest: format!("sha256:{letter}").into(),
        purl: format!("pkg:generic/shop@{letter}"),
        config: "sha256:0".into(),
        previous: previous.map(|p| p.to_string().into()),
        previous_sha: previous.map(|p| sha(p).into()),
        strategy: "canary".into(),
        steps: vec![],
        rollback_to: previous.map(|p| p.to_string().into()),
        migration,
        by: "policy:deploy".into(),
    }
}

#[derive(Default)]
pub(crate) struct Story {
    pub(crate) state: LoopState,
    pub(crate) events: Vec<Event>,
}

impl Story {
    pub(crate) fn tell<F: Fact>(&mut self, second: i64, fact: &F) -> &mut Self {
        let seq = self.events.len() as u64;
        let new = NewEvent::of(fact, format!("e{seq}"), at(second), "/test").unwrap();
        let event = Event {
            seq,
            id: new.id,
            kind: new.kind,
            time_occurred: at(second),
            time_received: at(second),
            source: new.source,
            subject: new.subject,
            chain: new.chain,
            payload: new.payload,
        };
        self.state.apply(&event);
        self.events.push(event);
        self
    }

    pub(crate) fn commit(&mut self, second: i64, letter: char, parent: Option<char>, path: &str) -> &mut Self {
        self.tell(
            second,
            &ChangeMerged {
                description: Some(format!("feat: change {letter}")),
                repository: None,
                sha: sha(letter).into(),
                parent: parent.map(|p| sha(p).into()),
                branch: "main".into(),
                author: "Ann <ann@example.com>".into(),
                message: String::new(),
                committed_at: Some(at(second)),
                files: vec![ChangedFile { path: path.into(), added: Some(10), removed: Some(2) }],
                files_omitted: 0,
            },
        )
    }

    /// Plans, starts and gives weight to a version `letter` of `shop` in production.
    pub(crate) fn release(&mut self, second: i64, letter: char, previous: Option<char>, weight: u32) -> &mut Self {
        self.release_in(second, letter, previous, weight, MigrationClass::None)
    }

    pub(crate) fn release_in(
        &mut self,
        second: i64,
        letter: char,
        previous: Option<char>,
        weight: u32,
        migration: MigrationClass,
    ) -> &mut Self {
        let plan = plan(letter, previous, migration);
        self.plan(second, plan, weight)
    }

    /// A release of this artifact with this configuration that takes all the traffic.
    pub(crate) fn release_of(
        &mut self,
        second: i64,
        letter: char,
        previous: Option<char>,
        digest: &str,
        config: &str,
    ) -> &mut Self {
        let plan = ReleasePlanned {
            digest: digest.into(),
            config: config.into(),
            ..plan(letter, previous, MigrationClass::None)
        };
        self.plan(second, plan, 100)
    }

    fn plan(&mut self, second: i64, plan: ReleasePlanned, weight: u32) -> &mut Self {
        let started = RolloutStarted {
            deployment: plan.deployment.clone(),
            service: plan.service.clone(),
            environment: plan.environment.clone(),
            version: plan.version.clone(),
            sha: plan.sha.clone(),
        };
        let letter = plan.version.as_str().chars().next().unwrap();
        let previous = plan.previous.as_ref().and_then(|p| p.as_str().chars().next());
        self.tell(second, &plan).tell(second, &started).weights(second, letter, weight, previous)
    }

    pub(crate) fn weights(&mut self, second: i64, letter: char, weight: u32, other: Option<char>) -> &mut Self {
        let mut weights = vec![VersionWeight { version: letter.to_string().into(), weight }];
        weights.extend(other.map(|o| VersionWeight { version: o.to_string().into(), weight: 100 - weight }));
        let routes = RoutesApplied {
            service: "shop".into(),
            environment: "production".into(),
            deployment: Some(format!("d-{letter}").into()),
            weights,
            generation: 1,
        };
        self.tell(second, &routes)
    }

    pub(crate) fn finished(&mut self, second: i64, letter: char, outcome: RolloutOutcome) -> &mut Self {
        self.tell(
            second,
            &RolloutFinished {
                deployment: format!("d-{letter}").into(),
                service: "shop".into(),
                environment: "production".into(),
                version: letter.to_string().into(),
                sha: sha(letter).into(),
                outcome,
                why: "test".into(),
                duration_ms: 1,
                exposed_requests: 100,
                exposed_bad: 0,
            },
        )
    }

    pub(crate) fn verdict(&mut self, second: i64, letter: char, outcome: VerdictOutcome) -> &mut Self {
        self.tell(
            second,
            &VerdictReached {
                deployment: format!("d-{letter}").into(),
                service: "shop".into(),
                environment: "production".into(),
                version: letter.to_string().into(),
                sha: sha(letter).into(),
                judge: "sequential".into(),
                outcome,
                ln_e: 5.0,
                ln_threshold: 4.6,
                signals: vec![],
                sentence: "errors are 6 times those of the stable version".into(),
            },
        )
    }

    pub(crate) fn incident(&mut self, second: i64, since: i64) -> &mut Self {
        self.incident_of(second, since, None)
    }

    pub(crate) fn incident_of(&mut self, second: i64, since: i64, alert: Option<lem_model::AlertId>) -> &mut Self {
        self.tell(
            second,
            &IncidentDetected {
                incident: "INC-1".into(),
                description: Some("shop fails".into()),
                environment: Ref::to("production"),
                service: Some(Ref::to("shop")),
                artifact_id: None,
                title: "HighErrorRatio".into(),
                severity: "SEV2".into(),
                alert,
                deployment: None,
                since: Some(at(since)),
            },
        )
    }
}
