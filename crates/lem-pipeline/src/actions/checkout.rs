//! `actions/checkout` of the repository the run belongs to.

use super::{Call, Done};
use crate::execute::{Console, Tree};

pub(super) fn run(call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    let run = call.run;
    if let Some(other) = call.input("repository").filter(|r| !r.eq_ignore_ascii_case(&run.info.repository)) {
        return Err(format!("checkout of another repository ({other}) needs a network, which a run does not have"));
    }
    let Some(repository) = &run.repository else {
        return Err("there is no git repository to check out".into());
    };
    let into = call.path(call.input("path").unwrap_or_default());
    if !into.starts_with(&call.place.workspace) {
        return Err(format!("{} is not below the workspace", into.display()));
    }
    let sha = match call.input("ref") {
        Some(name) => repository.commit(name).or_else(|_| repository.commit(&format!("origin/{name}"))),
        None => repository.commit(run.event.sha.as_str()),
    };
    let sha = sha.map_err(|e| e.to_string())?;
    std::fs::create_dir_all(&into).map_err(|e| format!("{}: {e}", into.display()))?;
    repository.checkout(&sha, &into).map_err(|e| e.to_string())?;
    console.say(&format!("checked out {sha} (native, objects shared with {})", repository.root().display()));
    if run.tree == Tree::Working && sha == run.event.sha {
        let count = repository.overlay(&into).map_err(|e| e.to_string())?;
        if count > 0 {
            console.say(&format!("{count} uncommitted changes of the working tree are included"));
        }
    }
    let short = run.event.ref_kind().1.to_owned();
    let outputs = [("commit".to_owned(), sha.to_string()), ("ref".to_owned(), short)];
    Ok(Done { outputs: outputs.into_iter().collect(), ..Done::default() })
}
