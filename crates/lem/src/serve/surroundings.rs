//! What the pages of provision and optimize show beyond the ledger, and the reports, asked of the stages.

use crate::command::optimize::owners_of;
use crate::reports;
use crate::stages::Around;
use async_trait::async_trait;
use lem_ledger::EventLog;
use lem_model::money::Money;
use lem_model::port::{PlanCost, ResourceGraphs};
use lem_model::resource::ResourceGraph;
use lem_model::{Team, TeamReport};
use lem_optimize::Pricer;
use lem_optimize::engine::PriceBook as _;
use lem_optimize::plan::ownership::{Dimension, Share, attribute, shares};
use lem_optimize::report::Known;
use lem_provision::plan::Options;
use lem_provision::project::{Given, RepositoryFiles};
use lem_provision::{Environment, Graphs};
use lem_server::dto;
use lem_server::port::{Budget, Costs, Infrastructure, PartError, Surroundings};
use lem_server::view::optimize::EVERYWHERE;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The stages, asked.
pub(crate) struct Asked {
    root: PathBuf,
    log: Arc<dyn EventLog>,
    pricer: Arc<Pricer>,
    /// Environments that record nothing: looking is no plan.
    environments: Vec<Environment>,
}

impl Asked {
    pub(crate) fn new(root: PathBuf, log: Arc<dyn EventLog>, around: &Around, quiet: Vec<Environment>) -> Self {
        Self { root, log, pricer: around.optimize.prices(), environments: quiet }
    }

    fn cost(&self, graph: &ResourceGraph) -> PlanCost {
        self.pricer.price(graph).0.plan_cost()
    }

    /// A root that `lem.yaml` names, once per environment with that environment's variables.
    async fn named(&self, environment: &Environment, documentation: &str) -> Infrastructure {
        let target = environment.target();
        let planned = environment.plan(&Given::of_process(vec![]), &Options::default()).await;
        let graph = match planned {
            Ok(sealed) => lem_provision::graph_of(&sealed),
            Err(error) => ResourceGraph {
                root: target.root_name.clone(),
                diagnostics: error.diagnostics(),
                ..ResourceGraph::default()
            },
        };
        Infrastructure {
            root: target.root_name.clone(),
            environment: target.environment.name.to_string(),
            engine: target.engine.name().to_owned(),
            cost: Some(self.cost(&graph)),
            graph,
            documentation: documentation.to_owned(),
        }
    }

    fn documentation(&self, root: &str) -> String {
        let files = RepositoryFiles(self.root.join(root));
        let (module, _) = lem_engine_hcl::config::load(&files, "");
        lem_provision::docs::markdown(&module).unwrap_or_default()
    }
}

fn failed(error: impl std::fmt::Display) -> PartError {
    PartError::Failed(error.to_string())
}

fn rows(shares: Vec<Share>) -> Vec<dto::CostRow> {
    let row = |share: Share| dto::CostRow {
        monthly: Some((&share.monthly).into()),
        before: None,
        unpriced: share.unknown as u64,
        moved: None,
        name: share.name,
    };
    shares.into_iter().map(row).collect()
}

#[async_trait]
impl Surroundings for Asked {
    async fn infrastructure(&self) -> Result<Vec<Infrastructure>, PartError> {
        let mut all = vec![];
        let named = self.environments.first().map(|e| e.target().root_name.clone());
        if let Some(root) = &named {
            let documentation = self.documentation(root);
            for environment in &self.environments {
                all.push(self.named(environment, &documentation).await);
            }
        }
        for graph in Graphs.graphs(&self.root).await.map_err(failed)? {
            if graph.resources.is_empty() && graph.diagnostics.is_empty()
                || named.as_deref() == Some(graph.root.as_str())
            {
                continue;
            }
            let terraform = graph.resources.iter().any(|r| r.language == lem_model::resource::Language::Terraform);
            all.push(Infrastructure {
                root: graph.root.clone(),
                environment: graph.environment.as_ref().map(ToString::to_string).unwrap_or_default(),
                engine: "files".to_owned(),
                cost: Some(self.cost(&graph)),
                documentation: if terraform { self.documentation(&graph.root) } else { String::new() },
                graph,
            });
        }
        Ok(all)
    }

    async fn costs(&self) -> Result<Costs, PartError> {
        let config = &self.pricer.config;
        let owners = owners_of(&self.root);
        let (mut attributed, mut unpriced) = (vec![], vec![]);
        for one in self.infrastructure().await? {
            let (estimate, _) = self.pricer.price(&one.graph);
            let mut named = BTreeSet::new();
            unpriced.extend(
                estimate
                    .plan_cost()
                    .unknown
                    .into_iter()
                    .filter(|u| named.insert(u.address.clone()))
                    .map(|u| dto::Unpriced { address: u.address, reason: u.reason }),
            );
            attributed.extend(attribute(&one.graph, &estimate, &owners, config));
        }
        let edition = self.pricer.book().0.edition();
        let oldest = edition.layers.iter().map(|l| l.date).min();
        let age = oldest.and_then(|d| d.until(self.pricer.today()).ok()).map_or(0, |span| i64::from(span.get_days()));
        let everywhere = || EVERYWHERE.to_owned();
        let by_environment = shares(&attributed, Dimension::Environment, &config.currency);
        let monthly = by_environment.iter().map(|s| s.monthly.amount).sum();
        Ok(Costs {
            prices: edition.to_string(),
            prices_age_days: age,
            budgets: config
                .budgets
                .iter()
                .map(|b| Budget {
                    name: b.name.clone(),
                    environment: b.environment.as_ref().map_or_else(everywhere, ToString::to_string),
                    limit: b.monthly.clone(),
                    known: match Known::of(&attributed, b) {
                        Known::Sum(sum) => Some(sum),
                        Known::Nothing | Known::Mixed => None,
                    },
                })
                .collect(),
            monthly: Some(Money { amount: monthly, currency: config.currency.clone() }),
            by_environment: rows(by_environment),
            unpriced,
            by_service: rows(shares(&attributed, Dimension::Service, &config.currency)),
            by_team: rows(shares(&attributed, Dimension::Team, &config.currency)),
        })
    }

    async fn report(&self, team: Team) -> Result<TeamReport, PartError> {
        let events = reports::events(&self.log).await.map_err(failed)?;
        let costs = match team {
            Team::Finance => reports::attributed(&self.pricer, &Graphs, &self.root).await,
            _ => vec![],
        };
        Ok(reports::report(team, &events, &costs, &self.pricer))
    }
}
