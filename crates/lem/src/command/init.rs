//! `lem init`.

mod outer;

use crate::exit::{Failure, usage};
use lem_source::{CONFIG_FILE, config_text, detect, git::Repository};
use outer::Outer;
use std::path::Path;

/// Detects and writes, or prints.
pub(crate) fn init(directory: &Path, print: bool, force: bool) -> Result<(), Failure> {
    let repository = Repository::discover(directory)?;
    let root = repository.root();
    let path = root.join(CONFIG_FILE);
    if path.exists() && !force && !print {
        return Err(usage(format!(
            "{} exists; look at a new one with --print, replace it with --force",
            path.display()
        )));
    }
    let (files, cut) = detect(root);
    for file in &files {
        eprintln!("{:<10} {:<28} {}", file.kind.stage(), file.kind.name(), file.path);
    }
    if files.is_empty() {
        eprintln!("nothing that a stage reads was found; the file will say what goes where");
    }
    if cut {
        eprintln!("only the first {} files were looked at", lem_source::MAX_SCANNED_FILES);
    }
    let branch = repository.branch()?.unwrap_or_else(|| "main".to_owned());
    let text = config_text(&repository.name(), &branch, &files) + &Outer::find(root, &files).text();
    if print {
        print!("{text}");
        return Ok(());
    }
    std::fs::write(&path, text).map_err(|e| usage(format!("cannot write {}: {e}", path.display())))?;
    ignore_state(root);
    eprintln!("\nwrote {CONFIG_FILE}; lem up runs the loop on every new commit of {branch}");
    Ok(())
}

/// State does not belong into the user's commits. Their .gitignore is theirs; git has a place that is not committed.
fn ignore_state(root: &Path) {
    let exclude = root.join(".git/info/exclude");
    let known = std::fs::read_to_string(&exclude).unwrap_or_default();
    if !known.lines().any(|l| l == ".lem/") && exclude.parent().is_some_and(Path::is_dir) {
        let written = std::fs::write(&exclude, format!("{known}.lem/\n"));
        if let Err(error) = written {
            eprintln!("could not add .lem/ to {}: {error}; add it to your .gitignore", exclude.display());
        }
    }
}
