//! The tree as plain files, C2SP tlog-tiles: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`.
//! They can be lost: they are written again from the rows.

use crate::tree::{Hash, TILE, node_hash};
use crate::{LedgerError, SignedCheckpoint};
use std::path::{Path, PathBuf};

/// Index in groups of three digits, all but the last behind an `x`: 1234067 is `x001/x234/067`.
pub(crate) fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// Writes tiles as the tree grows. Holds the unfinished tile of every level.
#[derive(Debug)]
pub(crate) struct Tiles {
    dir: PathBuf,
    size: u64,
    levels: Vec<Vec<Hash>>,
    /// Full tiles there are per level.
    full: Vec<u64>,
    entries: Vec<u8>,
}

impl Tiles {
    /// Goes on after whole tiles that are on disk already, one node each.
    pub(crate) fn resume(dir: PathBuf, nodes: &[Hash]) -> Self {
        let (mut levels, mut full) = (vec![Vec::new()], vec![nodes.len() as u64]);
        let mut level = nodes.to_vec();
        while !level.is_empty() {
            let whole = level.chunks_exact(TILE as usize);
            levels.push(whole.remainder().to_vec());
            full.push(whole.len() as u64);
            level = whole.map(root).collect();
        }
        Self { dir, size: nodes.len() as u64 * TILE, levels, full, entries: Vec::new() }
    }

    /// Leaves taken so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf; writes every tile it completes.
    pub(crate) fn push(&mut self, leaf: &[u8], hash: Hash) -> Result<(), LedgerError> {
        let length =
            u16::try_from(leaf.len()).map_err(|_| LedgerError::malformed("leaf", "longer than 65535 bytes"))?;
        self.entries.extend_from_slice(&length.to_be_bytes());
        self.entries.extend_from_slice(leaf);
        self.size += 1;
        self.levels[0].push(hash);
        let mut level = 0;
        while self.levels[level].len() as u64 == TILE {
            let tile = std::mem::take(&mut self.levels[level]);
            let index = self.full[level];
            if level == 0 {
                let entries = std::mem::take(&mut self.entries);
                self.write(&format!("tile/entries/{}", index_path(index)), &entries)?;
            }
            self.write(&format!("tile/{level}/{}", index_path(index)), tile.as_flattened())?;
            self.full[level] += 1;
            level += 1;
            if self.levels.len() == level {
                self.levels.push(Vec::new());
                self.full.push(0);
            }
            self.levels[level].push(root(&tile));
        }
        Ok(())
    }

    /// Writes what a reader of this checkpoint needs: the unfinished tiles, then the checkpoint itself.
    pub(crate) fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), LedgerError> {
        if checkpoint.size == self.size {
            for (level, tile) in self.levels.iter().enumerate().filter(|(_, tile)| !tile.is_empty()) {
                let index = index_path(self.full[level]);
                self.write(&format!("tile/{level}/{index}.p/{}", tile.len()), tile.as_flattened())?;
            }
            if !self.levels[0].is_empty() {
                let path = format!("tile/entries/{}.p/{}", index_path(self.full[0]), self.levels[0].len());
                self.write(&path, &self.entries)?;
            }
        }
        self.write("checkpoint", checkpoint.note.as_bytes())
    }

    /// Whole or not at all: readers never see half a file. The same bytes are not written twice.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.dir.join(name);
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == bytes.len() as u64)
            && std::fs::read(&path).is_ok_and(|have| have == bytes)
        {
            return Ok(());
        }
        let fail = |e| LedgerError::file("write", &path, e);
        let parent = path.parent().expect("tile names have a folder");
        std::fs::create_dir_all(parent).map_err(fail)?;
        let part = path.with_extension("part");
        std::fs::write(&part, bytes).map_err(fail)?;
        std::fs::rename(&part, &path).map_err(fail)
    }
}

/// Root of one full tile.
fn root(tile: &[Hash]) -> Hash {
    let mut row = tile.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row[0]
}

/// The checkpoint on disk, if there is one.
pub(crate) fn checkpoint(dir: &Path) -> Result<Option<SignedCheckpoint>, LedgerError> {
    let path = dir.join("checkpoint");
    match std::fs::read_to_string(&path) {
        Ok(note) => SignedCheckpoint::parse(&note).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(LedgerError::file("read", &path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_groups_of_three_digits() {
        for (index, path) in [(0, "000"), (67, "067"), (1000, "x001/000"), (1_234_067, "x001/x234/067")] {
            assert_eq!(index_path(index), path);
        }
    }
}
