//! Fetches advisories where OSV publishes them: one archive per ecosystem, `<address>/<ecosystem>/all.zip`.
//!
//! Only when somebody asks. What is there stays until the whole archive has come and reads.

use crate::error::SecureError;
use jiff::civil::Date;
use lem_engine_scan::sca::{Bundle, Database, Ecosystem};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Where OSV publishes.
pub const ADDRESS: &str = "https://osv-vulnerabilities.storage.googleapis.com";
/// Largest archive that is taken.
pub const MAX_ARCHIVE_BYTES: u64 = 1024 * 1024 * 1024;
/// Longest wait for one archive.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Fetches the advisories of some ecosystems into a directory; the number of advisories of each.
pub async fn update(
    address: &str,
    ecosystems: &[Ecosystem],
    directory: &Path,
    today: Date,
) -> Result<Vec<(Ecosystem, usize)>, SecureError> {
    let unreachable = |e: reqwest::Error| SecureError::Unreachable { what: address.to_owned(), why: root_cause(&e) };
    let client = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT).build().map_err(unreachable)?;
    let mut counts = vec![];
    for ecosystem in ecosystems {
        let url = format!("{}/{}/all.zip", address.trim_end_matches('/'), ecosystem.word());
        let answer = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(unreachable)?;
        let wrong = |source| SecureError::File { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(wrong)?;
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(wrong)?;
        let mut size = 0u64;
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            size += chunk.len() as u64;
            if size > MAX_ARCHIVE_BYTES {
                let why = format!("{url} has more than {MAX_ARCHIVE_BYTES} bytes");
                return Err(SecureError::Unreachable { what: address.to_owned(), why });
            }
            file.write_all(&chunk).map_err(wrong)?;
        }
        let mut bundle = Bundle::of_osv(file.path(), today)?;
        bundle.advisories.retain(|a| a.ecosystem == *ecosystem);
        bundle.ecosystems = vec![*ecosystem];
        Database::keep(&bundle, directory)?;
        counts.push((*ecosystem, bundle.advisories.len()));
    }
    Ok(counts)
}

/// The innermost cause, which names what failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
