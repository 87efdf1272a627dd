//! Why the store could not do something. Requests get [`crate::Response`]s; these are for who opens and runs it.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Failure of the store itself.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The disk does not do what it should.
    #[error("cannot {what} {}", path.display())]
    File {
        /// read, write, list ...
        what: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A record is not what was written under its name: damaged, moved or of another store.
    #[error("{} does not open: it was damaged, moved, or belongs to another store", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
    },
    /// The key that opens the store is not the one it was closed with.
    #[error("{} is not the key of this store", path.display())]
    WrongKey {
        /// Key file.
        path: PathBuf,
    },
    /// The key file can be read by others.
    #[error("{} can be read by others (mode {mode:o}); run chmod 600 on it", path.display())]
    OpenKey {
        /// Key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another program has it open.
    #[error("the secret store in {} is in use by another program", folder.display())]
    InUse {
        /// Its folder.
        folder: PathBuf,
    },
    /// It is sealed.
    #[error("the secret store is sealed")]
    Sealed,
    /// There is no such secret.
    #[error("there is no secret {0}")]
    Missing(String),
    /// What was given does not fit.
    #[error("{0}")]
    Invalid(String),
}

impl VaultError {
    pub(crate) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }
}
