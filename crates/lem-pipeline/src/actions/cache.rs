//! `actions/cache`, `actions/cache/restore` and `actions/cache/save`.
//!
//! A cache is a tar blob under a key. Entries are immutable: a second save of a key is passed over. A restore takes the
//! exact key, then the newest entry whose key begins with one of `restore-keys`, in their order.

use super::{Call, Done, Post};
use crate::execute::Console;
use crate::logs::{Level, file_name};
use crate::results::select::{Hidden, select};
use lem_model::Digest;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Longest key.
pub const MAX_KEY_CHARS: usize = 512;
/// Keys to try besides the exact one.
pub const MAX_RESTORE_KEYS: usize = 10;

/// What follows a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The cache is saved after the last step, unless the exact key was found.
    Save,
    /// Nothing.
    Nothing,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    version: String,
    digest: Digest,
    saved_ms: u64,
}

fn check_key(key: &str) -> Result<(), String> {
    if key.chars().count() > MAX_KEY_CHARS || key.contains(',') {
        return Err(format!("cache key \"{key}\" must have at most {MAX_KEY_CHARS} characters and no comma"));
    }
    Ok(())
}

/// Caches of different paths do not match each other.
fn version(path: &str) -> String {
    Digest::of(path.lines().map(str::trim).collect::<Vec<_>>().join("\n").as_bytes()).hex()[..16].to_owned()
}

pub(super) fn restore(call: &Call<'_>, console: &mut Console, after: After) -> Result<Done, String> {
    let key = call.input("key").ok_or("input key is required")?.to_owned();
    let path = call.input("path").ok_or("input path is required")?.to_owned();
    let prefixes: Vec<_> =
        call.input("restore-keys").unwrap_or_default().lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if prefixes.len() > MAX_RESTORE_KEYS {
        return Err(format!("{} restore-keys; at most {MAX_RESTORE_KEYS} are tried", prefixes.len()));
    }
    std::iter::once(key.as_str()).chain(prefixes.iter().copied()).try_for_each(check_key)?;
    let found = find(&call.run.caches, &key, &prefixes, &version(&path))?;
    let exact = found.as_ref().is_some_and(|entry| entry.key == key);
    let mut done = Done::default();
    done.outputs.insert("cache-primary-key".into(), key.clone());
    done.outputs.insert("cache-hit".into(), found.as_ref().map_or_else(String::new, |_| exact.to_string()));
    match &found {
        Some(entry) => {
            done.outputs.insert("cache-matched-key".into(), entry.key.clone());
            if !call.flag("lookup-only", false)? {
                let blob = call.run.blobs.open(&entry.digest).map_err(|e| e.to_string())?;
                unpack(call, blob)?;
            }
            console.say(&format!("cache restored from key {}", entry.key));
        }
        None if call.flag("fail-on-cache-miss", false)? => return Err(format!("no cache for key {key}")),
        None => console.say(&format!("no cache for key {key}")),
    }
    if after == After::Save && !exact {
        let always = call.flag("save-always", false)?;
        done.post = Some(Post::SaveCache { key, path, always });
    }
    Ok(done)
}

pub(super) fn save_step(call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    let key = call.input("key").ok_or("input key is required")?;
    let path = call.input("path").ok_or("input path is required")?;
    check_key(key)?;
    save(call, console, key, path)?;
    Ok(Done::default())
}

/// Saves a cache unless its key is taken. A cache that cannot be saved is a warning: it is not the job's work.
pub(crate) fn save(call: &Call<'_>, console: &mut Console, key: &str, path: &str) -> Result<(), String> {
    let version = version(path);
    let record = call.run.caches.join(format!("{}.{version}.json", file_name(key)));
    if record.exists() {
        console.say(&format!("cache {key} exists already; caches do not change"));
        return Ok(());
    }
    let selection =
        select(path, &call.place.workspace, &call.place.home, Hidden::Include).map_err(|e| e.to_string())?;
    if selection.files.is_empty() {
        console.annotate(Level::Warning, &format!("nothing to cache for key {key}: the paths do not exist"));
        return Ok(());
    }
    let mut scratch = call.run.blobs.scratch().map_err(|e| e.to_string())?;
    let mut tar = tar::Builder::new(scratch.as_file_mut());
    for file in &selection.files {
        tar.append_path_with_name(file, stored_name(call, file)).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    tar.finish().map_err(|e| e.to_string())?;
    drop(tar);
    let (digest, size) = call.run.blobs.keep(scratch).map_err(|e| e.to_string())?;
    let entry = Entry { key: key.to_owned(), version, digest, saved_ms: crate::execute::system_ms() };
    write_entry(&call.run.caches, &record, &entry).map_err(|e| format!("{}: {e}", record.display()))?;
    console.say(&format!("cache saved under key {key}: {} files, {size} bytes", selection.files.len()));
    Ok(())
}

fn write_entry(directory: &Path, record: &Path, entry: &Entry) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer(&mut file, entry)?;
    file.persist(record).map_err(|e| e.error)?;
    Ok(())
}

fn find(directory: &Path, key: &str, prefixes: &[&str], version: &str) -> Result<Option<Entry>, String> {
    let read = match std::fs::read_dir(directory) {
        Ok(read) => read,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", directory.display())),
    };
    let files = read.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json"));
    let mut entries: Vec<Entry> = files
        .filter_map(|p| serde_json::from_slice(&std::fs::read(p).ok()?).ok())
        .filter(|e: &Entry| e.version == version)
        .collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.saved_ms));
    let exact = entries.iter().find(|e| e.key == key);
    let by_prefix = || prefixes.iter().find_map(|p| entries.iter().find(|e| e.key.starts_with(p)));
    Ok(exact.or_else(by_prefix).cloned())
}

/// Names in the archive say which root they belong to, because a later job has other directories.
fn stored_name(call: &Call<'_>, file: &Path) -> PathBuf {
    let roots = [("workspace", &call.place.workspace), ("home", &call.place.home)];
    let below = roots.into_iter().find_map(|(name, root)| Some(Path::new(name).join(file.strip_prefix(root).ok()?)));
    below.unwrap_or_else(|| Path::new("root").join(file.strip_prefix("/").unwrap_or(file)))
}

fn unpack(call: &Call<'_>, blob: std::fs::File) -> Result<(), String> {
    let mut archive = tar::Archive::new(std::io::BufReader::new(blob));
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let name = entry.path().map_err(|e| e.to_string())?.into_owned();
        if name.components().any(|c| c == Component::ParentDir) {
            return Err(format!("cache entry {} leads out of its directory", name.display()));
        }
        let mut parts = name.components();
        let root = match parts.next().map(|c| c.as_os_str().to_string_lossy().into_owned()).as_deref() {
            Some("workspace") => call.place.workspace.clone(),
            Some("home") => call.place.home.clone(),
            _ => continue, // outside of the job: another machine's directory is not ours to write
        };
        let path = root.join(parts.as_path());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
        }
        entry.unpack(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}
