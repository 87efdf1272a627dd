//! Actions that need neither Node.js nor a network: our own ways of doing what the well-known ones do.

pub mod artifact;
pub mod cache;
pub mod checkout;
pub mod setup;

use crate::dialect::JobPlace;
use crate::execute::{Console, RunShared};
use indexmap::IndexMap;

/// What an input means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is honoured.
    Used,
    /// It is accepted and has no effect; a warning says so.
    Ignored,
    /// It is accepted and has nothing to affect, such as a token for a network that is not used.
    Moot,
}

/// An action we know.
#[derive(Debug)]
pub struct Known {
    /// Name without its ref.
    pub name: &'static str,
    /// Its inputs.
    pub inputs: &'static [(&'static str, Use)],
}

use Use::{Ignored, Moot, Used};

/// Every action we know.
pub const KNOWN: &[Known] = &[
    Known {
        name: "actions/checkout",
        inputs: &[
            ("repository", Used),
            ("ref", Used),
            ("path", Used),
            ("clean", Moot),
            ("fetch-depth", Moot),
            ("fetch-tags", Moot),
            ("token", Moot),
            ("ssh-key", Moot),
            ("persist-credentials", Moot),
            ("show-progress", Moot),
            ("set-safe-directory", Moot),
            ("lfs", Ignored),
            ("submodules", Ignored),
        ],
    },
    Known {
        name: "actions/upload-artifact",
        inputs: &[
            ("name", Used),
            ("path", Used),
            ("if-no-files-found", Used),
            ("compression-level", Used),
            ("overwrite", Used),
            ("include-hidden-files", Used),
            ("retention-days", Ignored),
        ],
    },
    Known {
        name: "actions/download-artifact",
        inputs: &[("name", Used), ("path", Used), ("pattern", Used), ("merge-multiple", Used), ("github-token", Moot)],
    },
    Known {
        name: "actions/cache",
        inputs: &[
            ("path", Used),
            ("key", Used),
            ("restore-keys", Used),
            ("lookup-only", Used),
            ("fail-on-cache-miss", Used),
            ("save-always", Used),
            ("upload-chunk-size", Moot),
            ("enableCrossOsArchive", Moot),
        ],
    },
    Known {
        name: "actions/cache/restore",
        inputs: &[
            ("path", Used),
            ("key", Used),
            ("restore-keys", Used),
            ("lookup-only", Used),
            ("fail-on-cache-miss", Used),
            ("enableCrossOsArchive", Moot),
        ],
    },
    Known {
        name: "actions/cache/save",
        inputs: &[("path", Used), ("key", Used), ("upload-chunk-size", Moot), ("enableCrossOsArchive", Moot)],
    },
    Known {
        name: "actions/setup-node",
        inputs: &[
            ("node-version", Used),
            ("node-version-file", Used),
            ("cache", Ignored),
            ("cache-dependency-path", Moot),
            ("check-latest", Moot),
            ("registry-url", Ignored),
            ("scope", Moot),
            ("token", Moot),
            ("architecture", Moot),
            ("package-manager-cache", Moot),
        ],
    },
    Known {
        name: "actions/setup-python",
        inputs: &[
            ("python-version", Used),
            ("python-version-file", Used),
            ("cache", Ignored),
            ("cache-dependency-path", Moot),
            ("check-latest", Moot),
            ("token", Moot),
            ("architecture", Moot),
            ("update-environment", Moot),
            ("allow-prereleases", Moot),
        ],
    },
    Known {
        name: "actions/setup-go",
        inputs: &[
            ("go-version", Used),
            ("go-version-file", Used),
            ("cache", Ignored),
            ("cache-dependency-path", Moot),
            ("check-latest", Moot),
            ("token", Moot),
            ("architecture", Moot),
        ],
    },
    Known {
        name: "actions/setup-java",
        inputs: &[
            ("java-version", Used),
            ("java-version-file", Used),
            ("distribution", Ignored),
            ("cache", Ignored),
            ("cache-dependency-path", Moot),
            ("check-latest", Moot),
            ("token", Moot),
            ("architecture", Moot),
            ("java-package", Ignored),
        ],
    },
    Known {
        name: "dtolnay/rust-toolchain",
        inputs: &[("toolchain", Used), ("components", Ignored), ("targets", Ignored), ("target", Ignored)],
    },
];

/// The action of this name in lower case, if we know it.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// Names of all actions we know.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// What an action is told.
#[derive(Debug)]
pub struct Call<'a> {
    /// Inputs as the workflow gives them, evaluated.
    pub inputs: &'a IndexMap<String, String>,
    /// The step's variables.
    pub env: &'a [(String, String)],
    /// Where the job runs.
    pub place: &'a JobPlace,
    /// Job.
    pub job: &'a str,
    /// The run.
    pub run: &'a RunShared,
}

impl Call<'_> {
    /// An input that is not empty.
    pub fn input(&self, name: &str) -> Option<&str> {
        let found = self.inputs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// An input that is true or false.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.input(name) {
            None => Ok(default),
            Some(yes) if yes.eq_ignore_ascii_case("true") => Ok(true),
            Some(no) if no.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(format!("input {name} is true or false, not \"{other}\"")),
        }
    }

    /// A path as the workflow means it: below the workspace unless it is absolute; `~` is HOME.
    pub fn path(&self, text: &str) -> std::path::PathBuf {
        match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                self.place.home.join(rest.trim_start_matches('/'))
            }
            _ => self.place.workspace.join(text),
        }
    }
}

/// What an action leaves behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Outputs.
    pub outputs: IndexMap<String, String>,
    /// Variables for later steps.
    pub env: IndexMap<String, String>,
    /// What is to be done after the last step.
    pub post: Option<Post>,
}

/// What an action does after the last step of its job.
#[derive(Clone, Debug, PartialEq)]
pub enum Post {
    /// Save a cache, when the job succeeded or it was asked for in any case.
    SaveCache {
        /// Key.
        key: String,
        /// Lines of paths.
        path: String,
        /// Also when the job failed.
        always: bool,
    },
}

/// Runs an action. An error is the message of the failed step.
pub(crate) fn run(action: &str, call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    match action {
        "actions/checkout" => checkout::run(call, console),
        "actions/upload-artifact" => artifact::upload(call, console),
        "actions/download-artifact" => artifact::download(call, console),
        "actions/cache" => cache::restore(call, console, cache::After::Save),
        "actions/cache/restore" => cache::restore(call, console, cache::After::Nothing),
        "actions/cache/save" => cache::save_step(call, console),
        "actions/setup-node" => setup::tool(&setup::NODE, call, console),
        "actions/setup-python" => setup::tool(&setup::PYTHON, call, console),
        "actions/setup-go" => setup::tool(&setup::GO, call, console),
        "actions/setup-java" => setup::tool(&setup::JAVA, call, console),
        "dtolnay/rust-toolchain" => setup::tool(&setup::RUST, call, console),
        other => Err(format!("action {other} is not supported")),
    }
}
