//! `actions/upload-artifact` and `actions/download-artifact`, version 4 and later.

use super::{Call, Done};
use crate::execute::{Console, StoredArtifact};
use crate::logs::Level;
use crate::results::archive::{self, Member};
use crate::results::select::{Hidden, Selection, select};
use globset::GlobBuilder;

/// Characters an artifact's name may not have, as the action refuses them.
const FORBIDDEN: &[char] = &['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/'];
/// Artifacts of one run.
pub const MAX_ARTIFACTS: usize = 500;

pub(super) fn upload(call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    let name = call.input("name").unwrap_or("artifact").to_owned();
    if let Some(bad) = name.chars().find(|c| FORBIDDEN.contains(c)) {
        return Err(format!("artifact name \"{name}\" may not contain {bad:?}"));
    }
    let path = call.input("path").ok_or("input path is required")?;
    let hidden = if call.flag("include-hidden-files", false)? { Hidden::Include } else { Hidden::Exclude };
    let level = call.input("compression-level").unwrap_or("6").parse::<i64>().ok().filter(|l| (0..=9).contains(l));
    let level = level.ok_or("compression-level is a number from 0 to 9")?;
    let selection = select(path, &call.place.workspace, &call.place.home, hidden).map_err(|e| e.to_string())?;
    if selection.files.is_empty() {
        return nothing(call, console, path);
    }
    let overwrite = call.flag("overwrite", false)?;
    if !overwrite && call.run.artifact(&name).is_some() {
        return Err(format!("artifact \"{name}\" exists already in this run; overwrite: true replaces it"));
    }
    let stored = store(call, &name, &selection, level)?;
    console.say(&format!(
        "artifact {name}: {} files, {} bytes, {}",
        selection.files.len(),
        stored.size_bytes,
        stored.digest
    ));
    let outputs = [
        ("artifact-id", stored.id.to_string()),
        ("artifact-digest", stored.digest.hex().to_owned()),
        ("artifact-url", format!("/artifacts/{}", stored.digest)),
    ];
    call.run.keep_artifact(stored)?;
    read_reports(call, console, &selection);
    Ok(Done { outputs: outputs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(), ..Done::default() })
}

fn nothing(call: &Call<'_>, console: &mut Console, path: &str) -> Result<Done, String> {
    let message = format!("no files were found with the path {}; no artifact is uploaded", path.replace('\n', ", "));
    match call.input("if-no-files-found").unwrap_or("warn") {
        "error" => return Err(message),
        "warn" => console.annotate(Level::Warning, &message),
        "ignore" => console.say(&message),
        other => return Err(format!("if-no-files-found is warn, error or ignore, not \"{other}\"")),
    }
    Ok(Done::default())
}

fn store(call: &Call<'_>, name: &str, selection: &Selection, level: i64) -> Result<StoredArtifact, String> {
    let root = selection.common_root();
    let members: Vec<Member> = selection
        .files
        .iter()
        .map(|file| Member {
            name: file.strip_prefix(&root).unwrap_or(file).to_string_lossy().into_owned(),
            path: file.clone(),
        })
        .collect();
    let blobs = &call.run.blobs;
    let mut scratch = blobs.scratch().map_err(|e| e.to_string())?;
    archive::pack(&members, level, scratch.as_file_mut()).map_err(|e| e.to_string())?;
    let (digest, size_bytes) = blobs.keep(scratch).map_err(|e| e.to_string())?;
    Ok(StoredArtifact { id: 0, name: name.to_owned(), digest, size_bytes, job: call.job.to_owned() })
}

/// An uploaded JUnit report is a test result.
fn read_reports(call: &Call<'_>, console: &mut Console, selection: &Selection) {
    let reports = selection.files.iter().filter(|f| crate::results::junit::looks_like_report(f));
    for report in reports {
        if let Err(error) = call.run.read_report(call.job, report) {
            console.annotate(Level::Warning, &error.to_string());
        }
    }
}

pub(super) fn download(call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    let into = call.path(call.input("path").unwrap_or_default());
    let merge = call.flag("merge-multiple", false)?;
    let all = call.run.artifacts();
    let (chosen, flat) = match (call.input("name"), call.input("pattern")) {
        (Some(name), _) => {
            let found: Vec<_> = all.iter().filter(|a| a.name == name).cloned().collect();
            if found.is_empty() {
                let names: Vec<_> = all.iter().map(|a| a.name.as_str()).collect();
                let there = if names.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are: {}", names.join(", "))
                };
                return Err(format!("no artifact \"{name}\" in this run; {there}"));
            }
            (found, true)
        }
        (None, Some(pattern)) => {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|e| e.to_string())?;
            let glob = glob.compile_matcher();
            (all.into_iter().filter(|a| glob.is_match(&a.name)).collect(), merge)
        }
        (None, None) => (all, merge),
    };
    for artifact in &chosen {
        let target = if flat { into.clone() } else { into.join(&artifact.name) };
        std::fs::create_dir_all(&target).map_err(|e| format!("{}: {e}", target.display()))?;
        let blob = call.run.blobs.open(&artifact.digest).map_err(|e| e.to_string())?;
        let files = archive::unpack(std::io::BufReader::new(blob), &target).map_err(|e| e.to_string())?;
        console.say(&format!("artifact {}: {} files, {}", artifact.name, files.len(), artifact.digest));
    }
    if chosen.is_empty() {
        console.annotate(Level::Notice, "no artifact matched");
    }
    let outputs = [("download-path".to_owned(), into.display().to_string())];
    Ok(Done { outputs: outputs.into_iter().collect(), ..Done::default() })
}
