//! Records on disk: one file per record, its name a keyed fingerprint of the record's path, its content sealed.
//!
//! A file is written beside, synced, renamed over, and its folder synced: a kill at any point leaves the old or the new
//! record. All records are held sealed in memory; a read opens one.

use crate::VaultError;
use crate::barrier::Keyring;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a file holds inside its seal: the path, which its name does not tell, and the value.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    path: std::borrow::Cow<'a, str>,
    value: serde_json::Value,
}

/// All records of an open store.
pub(crate) struct Store {
    folder: PathBuf,
    pub(crate) keyring: Keyring,
    records: BTreeMap<String, Vec<u8>>,
}

impl Store {
    /// Reads every record; one that does not open stops with its name, because it would otherwise be missed in silence.
    pub(crate) fn open(folder: &Path, keyring: Keyring) -> Result<Self, VaultError> {
        fs::create_dir_all(folder).map_err(|e| VaultError::file("create", folder, e))?;
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|e| VaultError::file("list", folder, e))? {
            let path = entry.map_err(|e| VaultError::file("list", folder, e))?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            if Path::new(name).extension().is_some_and(|e| e == "new") {
                // What a kill left of a write that was never acknowledged.
                fs::remove_file(&path).map_err(|e| VaultError::file("remove", &path, e))?;
                continue;
            }
            let sealed = fs::read(&path).map_err(|e| VaultError::file("read", &path, e))?;
            let plain = keyring.open(name, &sealed).ok_or_else(|| VaultError::Damaged { path: path.clone() })?;
            let record: Record<'_> =
                serde_json::from_slice(&plain).map_err(|_| VaultError::Damaged { path: path.clone() })?;
            records.insert(record.path.into_owned(), sealed);
        }
        Ok(Self { folder: folder.to_owned(), keyring, records })
    }

    fn file_name(&self, path: &str) -> String {
        self.keyring.fingerprint("path", path)
    }

    /// The value at a path.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, VaultError> {
        let Some(sealed) = self.records.get(path) else { return Ok(None) };
        let name = self.file_name(path);
        let damaged = || VaultError::Damaged { path: self.folder.join(&name) };
        let plain = self.keyring.open(&name, sealed).ok_or_else(damaged)?;
        let record: Record<'_> = serde_json::from_slice(&plain).map_err(|_| damaged())?;
        serde_json::from_value(record.value).map(Some).map_err(|_| damaged())
    }

    /// Puts a value at a path; it is on the disk when this returns.
    pub(crate) fn put<T: Serialize>(&mut self, path: &str, value: &T) -> Result<(), VaultError> {
        let value = serde_json::to_value(value).map_err(|e| VaultError::Invalid(e.to_string()))?;
        let record = Record { path: path.into(), value };
        let plain = Zeroizing::new(serde_json::to_vec(&record).map_err(|e| VaultError::Invalid(e.to_string()))?);
        let name = self.file_name(path);
        let sealed = self.keyring.seal(&name, &plain);
        write_durably(&self.folder, &name, &sealed)?;
        self.records.insert(path.to_owned(), sealed);
        Ok(())
    }

    /// Takes a value away.
    pub(crate) fn remove(&mut self, path: &str) -> Result<(), VaultError> {
        if self.records.contains_key(path) {
            let file = self.folder.join(self.file_name(path));
            fs::remove_file(&file).map_err(|e| VaultError::file("remove", &file, e))?;
            sync_folder(&self.folder)?;
            self.records.remove(path);
        }
        Ok(())
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.records.contains_key(path)
    }

    /// Paths below a prefix, whole.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.records
            .range(prefix.to_owned()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |p| p.starts_with(prefix))
    }

    /// Names directly below a prefix, folders with a trailing slash.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .below(prefix)
            .map(|path| match path[prefix.len()..].split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => path[prefix.len()..].to_owned(),
            })
            .collect();
        names.dedup();
        names
    }
}

/// Writes a file so that a kill leaves the old one or the new one.
pub(crate) fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
    let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().map_err(|e| VaultError::file("write", &path, e))?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), VaultError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| VaultError::file("sync", folder, e))
}
