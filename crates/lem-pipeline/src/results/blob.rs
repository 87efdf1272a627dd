//! Content-addressed files: `sha256/ab/cdef...`, written beside and renamed, checked on every read.

use lem_model::Digest;
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest blob.
pub const MAX_BLOB_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Why a blob could not be kept or given.
#[derive(Debug, Error)]
pub enum BlobError {
    /// There is no blob of this digest.
    #[error("no blob {0}")]
    Missing(Digest),
    /// The digest is no digest.
    #[error("\"{0}\" is no sha256 digest")]
    BadDigest(Digest),
    /// What is stored is not what was stored.
    #[error("blob {wanted} is damaged: its content has digest {found}")]
    Damaged {
        /// What was asked for.
        wanted: Digest,
        /// What is there.
        found: Digest,
    },
    /// Too large.
    #[error("blob is larger than {limit} bytes")]
    TooLarge {
        /// Limit.
        limit: u64,
    },
    /// The disk said no.
    #[error("blob store {path}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// Files by digest below one directory.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
    limit: u64,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BlobError {
    move |source| BlobError::Io { path: path.display().to_string(), source }
}

impl Blobs {
    /// The store below a directory, which is made when needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), limit: MAX_BLOB_BYTES }
    }

    /// The same with another limit per blob.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    fn path(&self, digest: &Digest) -> Result<PathBuf, BlobError> {
        let hex = digest.as_str().strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BlobError::BadDigest(digest.clone()));
        }
        Ok(self.root.join("sha256").join(&hex[..2]).join(&hex[2..]))
    }

    /// A file in the store's own file system to write to, for [`Blobs::keep`].
    pub fn scratch(&self) -> Result<tempfile::NamedTempFile, BlobError> {
        let directory = self.root.join("incoming");
        std::fs::create_dir_all(&directory).map_err(io(&directory))?;
        tempfile::NamedTempFile::new_in(&directory).map_err(io(&directory))
    }

    /// Keeps a scratch file under its digest; the same content twice is one blob.
    pub fn keep(&self, scratch: tempfile::NamedTempFile) -> Result<(Digest, u64), BlobError> {
        let at = scratch.path().to_owned();
        let (digest, size) = digest_of(&at, self.limit)?;
        let path = self.path(&digest)?;
        let directory = path.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        scratch.as_file().sync_all().map_err(io(&at))?;
        scratch.persist(&path).map_err(|e| io(&path)(e.error))?;
        File::open(directory).and_then(|d| d.sync_all()).map_err(io(directory))?;
        Ok((digest, size))
    }

    /// Keeps bytes.
    pub fn put(&self, bytes: &[u8]) -> Result<(Digest, u64), BlobError> {
        let mut scratch = self.scratch()?;
        scratch.write_all(bytes).map_err(io(&self.root))?;
        self.keep(scratch)
    }

    /// A blob, after its content was checked.
    pub fn open(&self, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest)?;
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(BlobError::Missing(digest.clone())),
            Err(e) => return Err(io(&path)(e)),
            Ok(_) => {}
        }
        let (found, _) = digest_of(&path, self.limit)?;
        if found != *digest {
            return Err(BlobError::Damaged { wanted: digest.clone(), found });
        }
        File::open(&path).map_err(io(&path))
    }

    /// Where a blob lies, whether it is there or not.
    pub fn location(&self, digest: &Digest) -> Result<PathBuf, BlobError> {
        self.path(digest)
    }
}

fn digest_of(path: &Path, limit: u64) -> Result<(Digest, u64), BlobError> {
    let mut file = File::open(path).map_err(io(path))?;
    let mut hash = sha2::Sha256::new();
    let mut chunk = vec![0_u8; 128 * 1024];
    let mut size = 0_u64;
    loop {
        let n = file.read(&mut chunk).map_err(io(path))?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        hash.update(&chunk[..n]);
    }
    Ok((Digest::new(format!("sha256:{}", hex::encode(hash.finalize()))), size))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_kept_once_and_checked_on_reading() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let (digest, size) = blobs.put(b"content").unwrap();
        assert_eq!((digest.clone(), size), (Digest::of(b"content"), 7));
        assert_eq!(blobs.put(b"content").unwrap().0, digest);
        let mut text = String::new();
        blobs.open(&digest).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");

        std::fs::write(blobs.location(&digest).unwrap(), b"c0ntent").unwrap();
        assert!(matches!(blobs.open(&digest), Err(BlobError::Damaged { .. })));
        assert!(matches!(blobs.open(&Digest::of(b"other")), Err(BlobError::Missing(_))));
        assert!(matches!(blobs.open(&Digest::from("sha256:../../etc")), Err(BlobError::BadDigest(_))));
        assert!(matches!(blobs.with_limit(3).put(b"content"), Err(BlobError::TooLarge { limit: 3 })));
    }
}
