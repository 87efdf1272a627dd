//! The demo's git repository: the shop, and the commits that are put on top of it.

use anyhow::{Context, Result, ensure};
use rust_embed::RustEmbed;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(RustEmbed)]
#[folder = "../../examples/shop"]
struct Shop;

#[derive(RustEmbed)]
#[folder = "../../examples/demo"]
struct Commits;

/// A temporary repository that plays the part of the user's.
#[derive(Debug)]
pub(crate) struct DemoRepository {
    pub(crate) root: PathBuf,
}

impl DemoRepository {
    /// Writes the shop into an empty directory and makes the first commit. `adapt` may change a file's text, for ports.
    pub(crate) fn create(root: &Path, adapt: impl Fn(&str, String) -> String) -> Result<Self> {
        std::fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let empty = std::fs::read_dir(root)?.next().is_none();
        ensure!(empty, "{} is not empty; choose another directory with --into", root.display());
        for name in Shop::iter() {
            let file = Shop::get(&name).context("an embedded file is listed but missing")?;
            let text = String::from_utf8_lossy(&file.data).into_owned();
            write(&root.join(name.as_ref()), &adapt(&name, text))?;
        }
        let repository = Self { root: root.to_owned() };
        repository.git(&["init", "-q", "-b", "main"])?;
        repository.git(&["config", "user.name", "Ada Example"])?;
        repository.git(&["config", "user.email", "ada@example.com"])?;
        repository.git(&["config", "commit.gpgsign", "false"])?;
        repository.leak()?;
        repository.commit("feat: the shop\n\nA catalogue, a cart and prices.\n")?;
        Ok(repository)
    }

    /// A key that somebody commits and takes out again: gone from the tree, not from the history. It is made up anew
    /// each time and opens nothing.
    fn leak(&self) -> Result<()> {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let id: String =
            uuid::Uuid::new_v4().as_bytes().iter().map(|b| char::from(DIGITS[usize::from(b % 32)])).collect();
        let path = self.root.join("config.env");
        write(&path, &format!("AWS_ACCESS_KEY_ID=AKIA{id}\n"))?;
        self.git(&["add", "config.env"])?;
        self.git(&["commit", "-q", "-m", "chore: settings for the price import"])?;
        std::fs::remove_file(&path)?;
        Ok(())
    }

    /// Puts one of the demo's commits on top: `2-one-connection`.
    pub(crate) fn change(&self, folder: &str) -> Result<String> {
        let prefix = format!("{folder}/");
        let mut message = None;
        for name in Commits::iter().filter(|name| name.starts_with(&prefix)) {
            let file = Commits::get(&name).context("an embedded file is listed but missing")?;
            let relative = &name[prefix.len()..];
            if relative == "message.txt" {
                message = Some(String::from_utf8_lossy(&file.data).into_owned());
            } else {
                write(&self.root.join(relative), &String::from_utf8_lossy(&file.data))?;
            }
        }
        self.commit(&message.with_context(|| format!("the demo has no commit {folder}"))?)
    }

    fn commit(&self, message: &str) -> Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "-q", "-m", message])?;
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let output =
            Command::new("git").arg("-C").arg(&self.root).args(arguments).output().context("cannot run git")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {}: {}", arguments.join(" "), complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_story_is_four_commits() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("shop");
        let adapt = |name: &str, text: String| if name == "lem.yaml" { text.replace("8080", "18080") } else { text };
        let repository = DemoRepository::create(&root, adapt).unwrap();
        let shas = ["2-one-connection", "3-limit-lookups", "4-fix-limit"].map(|f| repository.change(f).unwrap());
        assert_eq!(
            repository.git(&["rev-list", "--count", "HEAD"]).unwrap(),
            "5",
            "and one before them that leaks a key"
        );
        assert!(repository.git(&["log", "-p", "--all"]).unwrap().contains("AKIA"));
        assert!(!root.join("config.env").exists());
        assert!(shas.iter().all(|sha| sha.len() == 40));
        assert!(std::fs::read_to_string(root.join("lem.yaml")).unwrap().contains("18080"));
        assert!(repository.change("9-nothing").is_err());
        assert!(DemoRepository::create(&root, |_, t| t).is_err(), "a directory that is not empty is left alone");
    }
}
