//! A user's repository and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn lem() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lem"));
    command.env("NO_COLOR", "1").env_remove("LEM_SERVER").env_remove("LEM_TOKEN").env_remove("LEM_DATABASE");
    command
}

pub(crate) struct Repository {
    pub(crate) root: PathBuf,
    _dir: tempfile::TempDir,
}

/// What a command gave: exit code, standard output, standard error.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The exit code, with everything that was said when it is another one.
    #[track_caller]
    pub(crate) fn code(&self, expect: i32) -> &Self {
        assert_eq!(self.code, expect, "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl Repository {
    /// An empty repository with one commit.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repo");
        std::fs::create_dir(&root).unwrap();
        let repository = Self { root, _dir: dir };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["config", "user.name", "Ann"]);
        repository.git(&["config", "user.email", "ann@example.com"]);
        repository.git(&["commit", "-q", "--allow-empty", "-m", "chore: begin"]);
        repository
    }

    /// A copy of the example, with free ports.
    pub(crate) fn shop() -> (Self, u16) {
        let repository = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop"), &repository.root);
        let port = free_port();
        repository.replace("lem.yaml", "127.0.0.1:8080", &format!("127.0.0.1:{port}"));
        repository.commit("feat: the shop");
        (repository, port)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(from), "{path} has {from}");
        self.write(path, &text.replace(from, to));
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").arg("-C").arg(&self.root).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn lem(&self, arguments: &[&str]) -> Answer {
        Answer::of(&lem().current_dir(&self.root).args(arguments).output().unwrap())
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
