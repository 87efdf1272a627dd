//! Durable files: write to a temporary name, fsync, rename, fsync the directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::StoreError;
use crate::options::{DiskHook, WriteKind};

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(crate) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(dir).map_err(StoreError::io("create directory", dir))?;
    if let Some(parent) = dir.parent() {
        sync_dir(parent).map_err(StoreError::io("sync directory", parent))?;
    }
    Ok(())
}

/// After `Ok` the file has these bytes, whatever happens; after an error it has its old ones.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], kind: WriteKind, disk: &dyn DiskHook) -> Result<(), StoreError> {
    let tmp = path.with_extension("tmp");
    let result = (|| {
        disk.before_write(kind, bytes.len())?;
        let mut file = File::create(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&tmp, path)?;
        path.parent().map_or(Ok(()), sync_dir)
    })();
    result.map_err(|e| {
        let _ = fs::remove_file(&tmp);
        StoreError::io("write", path)(e)
    })
}

/// Removes a file that nothing refers to any more. What cannot be removed now is removed at the next start.
pub(crate) fn remove_unreferenced(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file that is no longer needed");
    }
}
