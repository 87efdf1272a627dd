//! Artifacts for other stages.

use super::archive;
use super::blob::{BlobError, Blobs};
use async_trait::async_trait;
use lem_model::Digest;
use lem_model::port::{ArtifactSource, SourceError};
use std::path::Path;

/// Gives artifacts by digest.
#[derive(Clone, Debug)]
pub struct ArtifactStore {
    blobs: Blobs,
}

impl ArtifactStore {
    /// The artifacts of an engine that keeps its files below `data`.
    pub fn new(data: &Path) -> Self {
        Self { blobs: Blobs::new(data.join("blobs")) }
    }

    /// An artifact's archive, after its content was checked.
    pub fn open(&self, digest: &Digest) -> Result<std::fs::File, BlobError> {
        self.blobs.open(digest)
    }
}

#[async_trait]
impl ArtifactSource for ArtifactStore {
    async fn unpack(&self, digest: &Digest, into: &Path) -> Result<(), SourceError> {
        let (blobs, digest, into) = (self.blobs.clone(), digest.clone(), into.to_owned());
        let what = format!("artifact {digest}");
        let unpacked = tokio::task::spawn_blocking(move || {
            let blob = blobs.open(&digest).map_err(|e| e.to_string())?;
            archive::unpack(std::io::BufReader::new(blob), &into).map(|_| ()).map_err(|e| {
                let cause = std::error::Error::source(&e).map(|c| format!(": {c}")).unwrap_or_default();
                format!("{e}{cause}")
            })
        });
        match unpacked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(SourceError::Unreachable { what, why }),
            Err(error) => Err(SourceError::Unreachable { what, why: error.to_string() }),
        }
    }
}
