//! Sections of the stages around the delivery path, small and commented, from what a repository has.

use lem_engine_hcl::Mode;
use lem_engine_scan::files::Tree;
use lem_model::resource::ResourceGraph;
use lem_provision::builtin;
use lem_source::{Detected, FileKind};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Environments that are written out; a root with more has another order than one file each.
const MAX_ENVIRONMENTS: usize = 10;

/// Files that a scan judges.
const JUDGED: [FileKind; 7] = [
    FileKind::Terraform,
    FileKind::CloudFormation,
    FileKind::Kubernetes,
    FileKind::GithubWorkflow,
    FileKind::GitlabCi,
    FileKind::Dockerfile,
    FileKind::Lockfile,
];

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Outer {
    /// Terraform roots, shallowest first.
    roots: Vec<Root>,
    /// Whether there is anything that a scan judges.
    judged: bool,
    /// Whether something that is billed may be described.
    billed: bool,
}

#[derive(Debug)]
struct Root {
    folder: String,
    /// Providers that are not built in.
    foreign: BTreeSet<String>,
    /// Names and files of variables.
    environments: Vec<(String, String)>,
}

impl Outer {
    /// Looks at a repository.
    pub(super) fn find(root: &Path, files: &[Detected]) -> Self {
        let infrastructure = [FileKind::Terraform, FileKind::CloudFormation, FileKind::Kubernetes];
        let described = files.iter().any(|f| infrastructure.contains(&f.kind));
        let graphs = if described { lem_provision::graphs::read(root).unwrap_or_default() } else { vec![] };
        let tree = Tree::list(root);
        let written: BTreeSet<&str> =
            files.iter().filter(|f| f.kind == FileKind::Terraform).map(|f| folder_of(&f.path)).collect();
        let mut roots: Vec<Root> =
            graphs.iter().filter(|g| written.contains(g.root.as_str())).map(|g| Root::of(g, &tree)).collect();
        roots.sort_by_key(|r| (r.folder.matches('/').count(), r.folder.clone()));
        Self {
            billed: roots.iter().any(|r| !r.foreign.is_empty()) || graphs.len() > roots.len(),
            roots,
            judged: files.iter().any(|f| JUDGED.contains(&f.kind)),
        }
    }

    /// The sections.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.provision(&mut out);
        if self.judged {
            out += "\n# Which findings count, and whether a release and an apply go on in spite of one: warn or required.\n\
                    secure:\n  gate: warn\n  severity: high\n";
        }
        if self.billed {
            out += "\n# What may be spent a month: an apply that costs more is refused until somebody goes past it, on record.\n\
                    optimize:\n  currency: USD\n  # budgets:\n  # - {name: all, monthly: 1000 USD}\n";
        }
        out
    }

    fn provision(&self, out: &mut String) {
        let Some(root) = self.roots.first() else { return };
        *out += "\n# Infrastructure that lem plan and lem apply work on; each environment has its own variables and state.\n";
        let others: Vec<&str> = self.roots.iter().skip(1).map(|r| r.folder.as_str()).collect();
        if !others.is_empty() {
            let _ = writeln!(out, "# Other roots: {}; lem -C DIRECTORY plan works in each.", others.join(", "));
        }
        let _ = writeln!(out, "provision:\n  root: {}", root.folder);
        if !root.foreign.is_empty() {
            let named: Vec<&str> = root.foreign.iter().map(String::as_str).collect();
            let _ = writeln!(out, "  engine: terraform  # an installed terraform or tofu, for {}", named.join(", "));
        }
        if root.environments.is_empty() {
            *out += "  # environments:\n  #   production: {set: {NAME: VALUE}}\n";
            return;
        }
        *out += "  environments:\n";
        for (name, file) in root.environments.iter().take(MAX_ENVIRONMENTS) {
            let _ = writeln!(out, "    {name}: {{vars: [{file}]}}");
        }
    }
}

impl Root {
    fn of(graph: &ResourceGraph, tree: &Tree) -> Self {
        let mode = |data| if data { Mode::Data } else { Mode::Managed };
        let foreign = graph.resources.iter().filter(|r| builtin::kind(mode(r.data), &r.kind).is_none());
        let variables = tree.paths.iter().filter(|path| folder_of(path) == graph.root);
        let named = variables.filter_map(|path| {
            let name = path.rsplit('/').next()?.strip_suffix(".tfvars")?;
            let own = !matches!(name, "terraform" | "default" | "example") && !name.ends_with(".auto");
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            (own && plain).then(|| (name.to_owned(), path.clone()))
        });
        Self {
            folder: graph.root.clone(),
            foreign: foreign.map(|r| r.provider.clone()).collect(),
            environments: named.collect(),
        }
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}
