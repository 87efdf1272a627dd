//! Artifacts as zip archives with unix modes.
//!
//! The same files give the same bytes, and so the same digest: entries are sorted and carry no time.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Files of one artifact.
pub const MAX_FILES: usize = 100_000;
/// Bytes of one artifact after unpacking.
pub const MAX_UNPACKED_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// Why an archive could not be made or unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The archive is not one.
    #[error("archive {doing}")]
    Zip {
        /// What was attempted.
        doing: String,
        /// Cause.
        #[source]
        source: zip::result::ZipError,
    },
    /// The disk said no.
    #[error("{path}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// An entry that would be written outside of the directory.
    #[error("archive entry \"{0}\" leads out of its directory")]
    Outside(String),
    /// Too many files.
    #[error("{files} files; an artifact has at most {MAX_FILES}")]
    TooMany {
        /// How many.
        files: usize,
    },
    /// Too large once unpacked.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLarge {
        /// Limit.
        limit: u64,
    },
}

fn zip_error(doing: impl Into<String>) -> impl FnOnce(zip::result::ZipError) -> ArchiveError {
    let doing = doing.into();
    move |source| ArchiveError::Zip { doing, source }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ArchiveError {
    move |source| ArchiveError::Io { path: path.display().to_string(), source }
}

/// A file of an artifact: where it is and its name in the archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Name in the archive, with `/`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Writes an archive; the level is zip's, 0 to 9.
pub fn pack(members: &[Member], level: i64, into: impl Write + Seek) -> Result<(), ArchiveError> {
    if members.len() > MAX_FILES {
        return Err(ArchiveError::TooMany { files: members.len() });
    }
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort();
    let mut zip = ZipWriter::new(into);
    for member in sorted {
        let mut file = File::open(&member.path).map_err(io(&member.path))?;
        let metadata = file.metadata().map_err(io(&member.path))?;
        let method = if level == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .compression_level((level > 0).then_some(level))
            .large_file(metadata.size() >= u64::from(u32::MAX))
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(metadata.permissions().mode() & 0o777);
        zip.start_file(member.name.as_str(), options).map_err(zip_error(format!("entry {}", member.name)))?;
        std::io::copy(&mut file, &mut zip).map_err(io(&member.path))?;
    }
    zip.finish().map_err(zip_error("end"))?;
    Ok(())
}

/// Unpacks an archive into a directory; the files it made, sorted.
pub fn unpack(from: impl Read + Seek, into: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    unpack_within(from, into, MAX_UNPACKED_BYTES)
}

fn unpack_within(from: impl Read + Seek, into: &Path, limit: u64) -> Result<Vec<PathBuf>, ArchiveError> {
    let mut zip = ZipArchive::new(from).map_err(zip_error("directory"))?;
    if zip.len() > MAX_FILES {
        return Err(ArchiveError::TooMany { files: zip.len() });
    }
    let mut made = vec![];
    let mut room = limit;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(zip_error(format!("entry {index}")))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let below = entry.enclosed_name().ok_or_else(|| ArchiveError::Outside(name.clone()))?;
        if entry.is_symlink() {
            return Err(ArchiveError::Outside(name)); // we write none, and a link may lead anywhere
        }
        let path = into.join(below);
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(io(&path))?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let mut file = File::create(&path).map_err(io(&path))?;
        let copied = std::io::copy(&mut entry.by_ref().take(room.saturating_add(1)), &mut file).map_err(io(&path))?;
        room = room.checked_sub(copied).ok_or(ArchiveError::TooLarge { limit })?;
        if let Some(mode) = entry.unix_mode() {
            let permissions = std::fs::Permissions::from_mode(mode & 0o777);
            std::fs::set_permissions(&path, permissions).map_err(io(&path))?;
        }
        made.push(path);
    }
    made.sort();
    Ok(made)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn packed(dir: &Path) -> Vec<u8> {
        let members =
            [("bin/run", "run"), ("a.txt", "a")].map(|(name, file)| Member { name: name.into(), path: dir.join(file) });
        let mut bytes = Cursor::new(vec![]);
        pack(&members, 6, &mut bytes).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn modes_survive_and_the_same_files_give_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("run"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(dir.path().join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(dir.path().join("a"), "x".repeat(10_000)).unwrap();
        let first = packed(dir.path());
        assert_eq!(first, packed(dir.path()));
        let out = tempfile::tempdir().unwrap();
        let made = unpack(Cursor::new(&first), out.path()).unwrap();
        assert_eq!(made, [out.path().join("a.txt"), out.path().join("bin/run")]);
        assert_eq!(std::fs::metadata(&made[1]).unwrap().permissions().mode() & 0o777, 0o755);
        let small = unpack_within(Cursor::new(&first), out.path(), 100);
        assert!(matches!(small, Err(ArchiveError::TooLarge { limit: 100 })));
    }

    #[test]
    fn an_archive_cannot_write_elsewhere() {
        let mut zip = ZipWriter::new(Cursor::new(vec![]));
        zip.start_file("../escape", SimpleFileOptions::default()).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let out = tempfile::tempdir().unwrap();
        assert!(matches!(unpack(Cursor::new(bytes), out.path()), Err(ArchiveError::Outside(_))));
    }
}
