//! The machine's part of a job's environment.

use crate::dialect::JobPlace;
use crate::engine::{HOME_DIR, Isolation, TEMP_DIR, TMP_DIR, WORK_DIR};
use std::path::{Path, PathBuf};

/// Path of programs when ours is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variables of ours that a job gets: the way to tools and through proxies, nothing else.
const PASSED: &[&str] = &[
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TERM",
    "USER",
    "LOGNAME",
    "SHELL",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "JAVA_HOME",
    "GOROOT",
    "NVM_DIR",
    "PYENV_ROOT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// Directories of tools below HOME that would not be found once HOME is another.
const TOOL_HOMES: &[(&str, &str)] = &[("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];
/// Downloads below CARGO_HOME that jobs share and add to.
const SHARED_DOWNLOADS: &[&str] = &["registry", "git"];

/// The first program of this name on a path; a name with a slash is a path itself.
pub fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |p: &Path| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|p| runs(p));
    }
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(|p| runs(p))
}

/// The machine's variables, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    passed: Vec<(String, String)>,
    home: Option<PathBuf>,
    /// Directories jobs may write to besides their own.
    pub writable: Vec<PathBuf>,
}

impl Machine {
    pub(crate) fn read(more_writable: &[PathBuf]) -> Self {
        let mut passed: Vec<(String, String)> =
            PASSED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
        if !passed.iter().any(|(name, _)| name == "PATH") {
            passed.push(("PATH".into(), DEFAULT_PATH.into()));
        }
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|h| h.is_absolute());
        for (name, below) in TOOL_HOMES {
            let set = passed.iter().any(|(n, _)| n == name);
            let there = home.as_ref().map(|h| h.join(below)).filter(|p| p.is_dir());
            if let (false, Some(path)) = (set, there) {
                passed.push(((*name).to_owned(), path.display().to_string()));
            }
        }
        let cargo = passed.iter().find(|(n, _)| n == "CARGO_HOME").map(|(_, v)| PathBuf::from(v));
        let downloads = cargo.iter().flat_map(|c| SHARED_DOWNLOADS.iter().map(move |d| c.join(d)));
        let writable = downloads.filter(|p| p.is_dir()).chain(more_writable.iter().cloned()).collect();
        Self { passed, home, writable }
    }

    /// Where a job in this directory runs.
    pub(crate) fn place(&self, directory: &Path, isolation: &Isolation) -> JobPlace {
        let own_home = directory.join(HOME_DIR);
        let home = match isolation {
            Isolation::Host => self.home.clone().unwrap_or(own_home),
            _ => own_home,
        };
        let mut base = self.passed.clone();
        base.push(("HOME".into(), home.display().to_string()));
        if matches!(isolation, Isolation::Weak { .. }) {
            base.push(("TMPDIR".into(), directory.join(TMP_DIR).display().to_string()));
        }
        JobPlace { workspace: directory.join(WORK_DIR), temp: directory.join(TEMP_DIR), home, base }
    }
}
