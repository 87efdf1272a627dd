//! Dashboards, published reports, and what `lem doctor` sees.

use async_trait::async_trait;
use lem_observe::ObserveService;
use lem_observe::dash;
use lem_server::dto::{self, Check, GridPos, State, TimeRange};
use lem_server::port::{Dashboards, Doctor, Reports};
use std::path::PathBuf;

/// Dashboards of the observing stage.
pub(super) struct Imported(pub(super) ObserveService);

fn cells(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

fn panel(panel: &dash::Panel) -> dto::Panel {
    let (h, w, x, y) = panel.grid;
    let target = |(ref_id, expr, legend): &(String, String, String)| dto::Target {
        ref_id: ref_id.clone(),
        expr: expr.clone(),
        legend: Some(legend.clone()).filter(|legend| !legend.is_empty()),
    };
    dto::Panel {
        id: panel.id,
        kind: panel.kind.clone(),
        title: panel.title.clone(),
        grid_pos: GridPos { x: cells(x), y: cells(y), w: cells(w), h: cells(h) },
        unit: panel.unit.clone(),
        decimals: panel.decimals.and_then(|d| u32::try_from(d).ok()),
        targets: panel.targets.iter().map(target).collect(),
        text: panel.content.clone(),
        unsupported: panel.unsupported.clone(),
    }
}

fn dashboard(one: &dash::Dashboard) -> dto::Dashboard {
    let variable = |v: &dash::Variable| dto::Variable {
        name: v.name.clone(),
        label: v.label.clone(),
        query: v.query.clone(),
        current: v.current.clone(),
        values: v.values.clone(),
    };
    dto::Dashboard {
        uid: one.uid.clone(),
        title: one.title.clone(),
        panels: one.panels.iter().map(panel).collect(),
        variables: one.variables.iter().map(variable).collect(),
        refresh: one.refresh.clone(),
        time: TimeRange { from: one.time.0.clone(), to: one.time.1.clone() },
    }
}

impl Dashboards for Imported {
    fn list(&self) -> Vec<dto::DashboardRow> {
        let row = |d: &dash::Dashboard| dto::DashboardRow {
            uid: d.uid.clone(),
            title: d.title.clone(),
            tags: d.tags.clone(),
        };
        self.0.dashboards().iter().map(row).collect()
    }

    fn get(&self, uid: &str) -> Option<dto::Dashboard> {
        self.0.dashboards().iter().find(|d| d.uid == uid).map(dashboard)
    }
}

/// Incident reports in a directory.
pub(super) struct Published(pub(super) PathBuf);

#[async_trait]
impl Reports for Published {
    async fn published(&self, incident: &str) -> Option<String> {
        // The id comes from outside; a path must not.
        let plain = incident.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !plain || incident.is_empty() {
            return None;
        }
        tokio::fs::read_to_string(self.0.join(format!("{incident}.md"))).await.ok()
    }
}

/// What `lem doctor` sees in a repository.
pub(super) struct Looks(pub(super) PathBuf);

#[async_trait]
impl Doctor for Looks {
    async fn checks(&self) -> Vec<Check> {
        let root = self.0.clone();
        // It starts programs and reads files.
        let looked = tokio::task::spawn_blocking(move || crate::command::doctor::look(&root)).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let check = |found: &serde_json::Value| Check {
            check: text(&found["check"]),
            state: match found["state"].as_str() {
                Some("ok") => State::Ok,
                Some("bad") => State::Bad,
                _ => State::Waiting,
            },
            sentence: text(&found["sentence"]),
            fix: Some(text(&found["fix"])).filter(|fix| !fix.is_empty()),
        };
        looked.map(|found| found.iter().map(check).collect()).unwrap_or_default()
    }
}
