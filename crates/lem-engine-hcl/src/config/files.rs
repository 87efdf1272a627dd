//! Where files come from.

use std::collections::BTreeMap;
use std::path::Path;

/// Files read from one folder at most.
pub const MAX_FILES: usize = 2000;

/// A place files are read from: the disk, or memory in tests and browsers.
pub trait Files: Sync {
    /// Names of the files in a folder, not of those below it.
    fn list(&self, folder: &str) -> std::io::Result<Vec<String>>;
    /// The bytes of a file. Larger ones than `limit` are an error of kind `FileTooLarge`.
    fn read(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>>;
}

/// The disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        let folder = if folder.is_empty() { "." } else { folder };
        let mut names = vec![];
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.path().is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut bytes = vec![];
        std::fs::File::open(Path::new(path))?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }
}

/// Files in memory, by path.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(pub BTreeMap<String, Vec<u8>>);

impl MemoryFiles {
    /// Made of texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }
}

impl Files for MemoryFiles {
    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        let inside = |path: &String| {
            let rest = if folder.is_empty() { path } else { path.strip_prefix(folder)?.strip_prefix('/')? };
            (!rest.contains('/')).then(|| rest.to_owned())
        };
        let names: Vec<String> = self.0.keys().filter_map(inside).collect();
        if names.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn read(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        let bytes = self.0.get(path).ok_or(std::io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > limit { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.clone()) }
    }
}
