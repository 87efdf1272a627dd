//! Which files of a repository belong to which stage. A name suggests, the first bytes decide.

use std::path::Path;
use walkdir::WalkDir;

/// Files looked at in one repository.
pub const MAX_SCANNED_FILES: usize = 50_000;
/// Bytes of a file that are looked at to tell what it is.
const SNIFFED_BYTES: usize = 16 * 1024;
/// Directories that hold what others wrote.
const SKIPPED: [&str; 8] = [".git", "node_modules", "target", "vendor", ".terraform", ".lem", ".venv", "dist"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Terraform configuration.
    Terraform,
    /// CloudFormation template.
    CloudFormation,
    /// Kubernetes manifest.
    Kubernetes,
    /// GitHub Actions workflow.
    GithubWorkflow,
    /// GitLab CI configuration.
    GitlabCi,
    /// Jenkins pipeline.
    Jenkinsfile,
    /// Argo Rollouts manifest or strategy.
    Rollout,
    /// Kargo promotion windows.
    Windows,
    /// Prometheus configuration.
    Prometheus,
    /// Prometheus rules.
    Rules,
    /// Alertmanager configuration.
    Alertmanager,
    /// Grafana dashboard.
    Dashboard,
    /// Container build.
    Dockerfile,
    /// Lockfile of a package manager.
    Lockfile,
}

impl FileKind {
    /// The stage that reads it, as the workflow names it.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Terraform | Self::CloudFormation | Self::Kubernetes => "provision",
            Self::GithubWorkflow | Self::GitlabCi | Self::Jenkinsfile => "pipeline",
            Self::Rollout | Self::Windows => "deploy",
            Self::Prometheus | Self::Rules | Self::Alertmanager | Self::Dashboard => "observe",
            Self::Dockerfile | Self::Lockfile => "secure",
        }
    }

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terraform => "Terraform configuration",
            Self::CloudFormation => "CloudFormation template",
            Self::Kubernetes => "Kubernetes manifest",
            Self::GithubWorkflow => "GitHub Actions workflow",
            Self::GitlabCi => "GitLab CI configuration",
            Self::Jenkinsfile => "Jenkins pipeline",
            Self::Rollout => "Argo Rollouts strategy",
            Self::Windows => "Kargo promotion windows",
            Self::Prometheus => "Prometheus configuration",
            Self::Rules => "Prometheus rules",
            Self::Alertmanager => "Alertmanager configuration",
            Self::Dashboard => "Grafana dashboard",
            Self::Dockerfile => "Dockerfile",
            Self::Lockfile => "lockfile",
        }
    }
}

/// A file and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detected {
    /// Kind.
    pub kind: FileKind,
    /// Path relative to the root, with `/`.
    pub path: String,
}

/// What a repository has, sorted by kind and path. The second value says whether the scan stopped at its limit.
pub fn detect(root: &Path) -> (Vec<Detected>, bool) {
    let mut found = vec![];
    let mut scanned = 0_usize;
    let walk = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(entry.file_type().is_dir() && SKIPPED.contains(&name.as_ref()))
    });
    for entry in walk.filter_map(Result::ok).filter(|e| e.file_type().is_file()) {
        scanned += 1;
        if scanned > MAX_SCANNED_FILES {
            break;
        }
        let Ok(relative) = entry.path().strip_prefix(root) else { continue };
        let path = relative.to_string_lossy().replace('\\', "/");
        let kind = by_name(&path).or_else(|| by_content(&path, &sniff(entry.path())));
        found.extend(kind.map(|kind| Detected { kind, path }));
    }
    found.sort();
    (found, scanned > MAX_SCANNED_FILES)
}

fn by_name(path: &str) -> Option<FileKind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let yaml = has_extension(name, &["yml", "yaml"]);
    match name {
        ".gitlab-ci.yml" => return Some(FileKind::GitlabCi),
        "Jenkinsfile" => return Some(FileKind::Jenkinsfile),
        "Cargo.lock" | "package-lock.json" | "yarn.lock" | "pnpm-lock.yaml" | "poetry.lock" | "requirements.txt"
        | "go.sum" | "uv.lock" => return Some(FileKind::Lockfile),
        _ => {}
    }
    if yaml && (path.starts_with(".github/workflows/") || path.contains("/.github/workflows/")) {
        return Some(FileKind::GithubWorkflow);
    }
    if name == "Dockerfile" || name.starts_with("Dockerfile.") {
        return Some(FileKind::Dockerfile);
    }
    (has_extension(name, &["tf", "tofu"]) || name.ends_with(".tf.json")).then_some(FileKind::Terraform)
}

fn by_content(path: &str, text: &str) -> Option<FileKind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if has_extension(name, &["json"]) {
        if text.contains("\"panels\"") && text.contains("\"schemaVersion\"") {
            return Some(FileKind::Dashboard);
        }
        let template = text.contains("\"Resources\"") && text.contains("\"AWS::");
        return (template || text.contains("\"AWSTemplateFormatVersion\"")).then_some(FileKind::CloudFormation);
    }
    if !has_extension(name, &["yml", "yaml"]) {
        return None;
    }
    let key = |wanted: &str| text.lines().any(|l| l.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(':')));
    if key("AWSTemplateFormatVersion") || key("Resources") && text.contains("AWS::") {
        Some(FileKind::CloudFormation)
    } else if text.contains("argoproj.io/") && text.contains("kind: Rollout") || key("strategy") {
        Some(FileKind::Rollout)
    } else if text.contains("promotionWindows:") {
        Some(FileKind::Windows)
    } else if key("scrape_configs") || key("rule_files") {
        Some(FileKind::Prometheus)
    } else if key("route") && key("receivers") {
        Some(FileKind::Alertmanager)
    } else if key("groups") && (text.contains("alert:") || text.contains("record:")) {
        Some(FileKind::Rules)
    } else if key("apiVersion") && key("kind") {
        Some(FileKind::Kubernetes)
    } else {
        None
    }
}

fn has_extension(name: &str, wanted: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| wanted.contains(&extension))
}

fn sniff(path: &Path) -> String {
    use std::io::Read;
    let mut bytes = vec![];
    let read = std::fs::File::open(path).and_then(|f| f.take(SNIFFED_BYTES as u64).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn files_are_told_apart_by_name_and_content() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            (".github/workflows/ci.yml", "on: push"),
            ("infra/main.tf", ""),
            ("deploy/rollout.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n"),
            ("observe/prometheus.yml", "scrape_configs:\n"),
            ("observe/rules.yml", "groups:\n- name: x\n  rules:\n  - alert: Y\n"),
            ("observe/alertmanager.yml", "route:\n  receiver: x\nreceivers:\n"),
            ("observe/d.json", "{\"panels\": [], \"schemaVersion\": 39}"),
            ("k8s/a.yaml", "apiVersion: v1\nkind: Service\n"),
            ("cf.yaml", "AWSTemplateFormatVersion: 2010-09-09\n"),
            ("Cargo.lock", ""),
            ("node_modules/x/Dockerfile", ""),
            ("notes.yaml", "hello: there\n"),
        ];
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (found, cut) = detect(dir.path());
        let lines: Vec<_> = found.iter().map(|d| format!("{}: {}", d.kind.name(), d.path)).collect();
        assert_eq!(
            lines,
            [
                "Terraform configuration: infra/main.tf",
                "CloudFormation template: cf.yaml",
                "Kubernetes manifest: k8s/a.yaml",
                "GitHub Actions workflow: .github/workflows/ci.yml",
                "Argo Rollouts strategy: deploy/rollout.yaml",
                "Prometheus configuration: observe/prometheus.yml",
                "Prometheus rules: observe/rules.yml",
                "Alertmanager configuration: observe/alertmanager.yml",
                "Grafana dashboard: observe/d.json",
                "lockfile: Cargo.lock",
            ]
        );
        assert!(!cut);
    }
}
