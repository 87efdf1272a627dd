//! A small commented `lem.yaml` from what a repository has.

use crate::detect::{Detected, FileKind};
use std::fmt::Write as _;

/// Text of a `lem.yaml` for these files. What cannot be known (which command starts the service) is a commented line
/// that says what to fill in.
pub fn config_text(repository: &str, branch: &str, files: &[Detected]) -> String {
    let of = |kind: FileKind| files.iter().filter(move |d| d.kind == kind).map(|d| d.path.as_str()).collect::<Vec<_>>();
    let mut out =
        format!("# Which file belongs to which stage of the loop. Every section is optional.\n\nbranch: {branch}\n");

    let workflows = of(FileKind::GithubWorkflow);
    if !workflows.is_empty() {
        let _ = write!(out, "\n# Pipelines that run on every new commit of the branch.\npipeline:\n  workflows:\n");
        out += &workflows.iter().map(|w| format!("  - {w}\n")).collect::<String>();
    }
    deploy(&mut out, repository, &of(FileKind::Rollout), &of(FileKind::Windows));
    observe(&mut out, &of);
    out += "\n# What may happen without a person: automatic, ask or off.\nfeedback:\n  rollback: ask\n";
    out
}

fn deploy(out: &mut String, service: &str, rollouts: &[&str], windows: &[&str]) {
    let strategy = rollouts.first().copied().unwrap_or("deploy/rollout.yaml");
    let note = if rollouts.is_empty() { "  # does not exist yet: Argo Rollouts keys go there" } else { "" };
    let service = service.rsplit('/').next().unwrap_or(service);
    let lines = [
        format!("{service}:"),
        format!("  artifact: {service}          # name the pipeline gives to upload-artifact"),
        format!("  strategy: {strategy}{note}"),
        "  environments:".to_owned(),
        "  - name: production".to_owned(),
        "    listen: 127.0.0.1:8080      # where the router serves it".to_owned(),
        "    target:".to_owned(),
        format!("      process: {{command: [\"./{service}\"], health: /up}}"),
    ];
    out.push_str(
        "\n# How a release goes out. Uncomment and name the command that starts your service; it gets PORT.\n",
    );
    out.push_str("# deploy:\n");
    *out += &lines.iter().map(|line| format!("#   {line}\n")).collect::<String>();
    *out += &windows.iter().map(|w| format!("#     windows: {w}\n")).collect::<String>();
}

fn observe<'a>(out: &mut String, of: &impl Fn(FileKind) -> Vec<&'a str>) {
    let (prometheus, rules, alertmanager, dashboards) =
        (of(FileKind::Prometheus), of(FileKind::Rules), of(FileKind::Alertmanager), of(FileKind::Dashboard));
    if [&prometheus, &rules, &alertmanager, &dashboards].iter().all(|files| files.is_empty()) {
        return;
    }
    out.push_str("\n# What is watched, and who hears of it.\nobserve:\n");
    if let Some(file) = prometheus.first() {
        let _ = writeln!(out, "  prometheus: {file}");
    }
    if !rules.is_empty() {
        let _ = writeln!(out, "  rules: [{}]", rules.join(", "));
    }
    if let Some(file) = alertmanager.first() {
        let _ = writeln!(out, "  alertmanager: {file}");
    }
    if let Some((folder, _)) = dashboards.first().and_then(|file| file.rsplit_once('/')) {
        let _ = writeln!(out, "  dashboards: {folder}");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Project;
    use std::path::Path;

    #[test]
    fn what_is_written_can_be_read_back() {
        let file = |kind, path: &str| Detected { kind, path: path.into() };
        let files = [
            file(FileKind::GithubWorkflow, ".github/workflows/ci.yml"),
            file(FileKind::Rollout, "deploy/rollout.yaml"),
            file(FileKind::Rules, "observe/rules.yml"),
            file(FileKind::Dashboard, "observe/dashboards/shop.json"),
        ];
        let text = config_text("example.com/acme/shop", "main", &files);
        let project = Project::parse(Path::new("/r"), &text).unwrap();
        assert_eq!(project.section("observe").unwrap().get("dashboards").unwrap().text(), Some("observe/dashboards"));
        assert!(project.section("deploy").is_none(), "a deployment is the user's decision");
        let uncommented = text.replace("# deploy:", "deploy:").replace("\n#   ", "\n  ");
        assert!(
            Project::parse(Path::new("/r"), &uncommented).unwrap().section("deploy").unwrap().get("shop").is_some()
        );
    }
}
