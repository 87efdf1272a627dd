//! The Merkle tree of RFC 6962 section 2.1. One hash per 256 leaves is kept in memory; the leaves of the one or two
//! subtrees a proof cuts through are read when they are needed. That is why this is not a library: those compute over
//! all leaves in memory or over their own tile reader, and what is ours here is small.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// SHA-256.
pub type Hash = [u8; 32];
/// Leaves below one node that is kept; also the width of a tile.
pub const TILE: u64 = 256;

/// `SHA-256(00 ‖ leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// `SHA-256(01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the empty tree: `SHA-256("")`.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: the roots of its perfect subtrees, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    peaks: Vec<Hash>,
}

impl Edge {
    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives the node over the last 256 leaves when it completes one.
    pub fn push(&mut self, leaf: Hash) -> Option<Hash> {
        let mut hash = leaf;
        let mut node = None;
        for level in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak per set bit of the size");
            hash = node_hash(&left, &hash);
            if level == TILE.trailing_zeros() {
                node = Some(hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
        node
    }

    /// Root.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The tree: its edge, and one node per 256 leaves.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    edge: Edge,
    nodes: Vec<Hash>,
}

impl Tree {
    /// Leaves.
    pub fn size(&self) -> u64 {
        self.edge.size
    }

    /// Root over all leaves.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// A copy of the right edge, to compute ahead with.
    pub fn edge(&self) -> Edge {
        self.edge.clone()
    }

    /// Nodes over 256 leaves each.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.nodes.extend(self.edge.push(leaf));
    }

    /// Takes over what was computed ahead.
    pub(crate) fn advance(&mut self, edge: Edge, nodes: &[Hash]) {
        self.edge = edge;
        self.nodes.extend_from_slice(nodes);
    }
}

/// The first leaf of the tile that a tree of this size cuts, if it cuts one.
pub(crate) fn cut(size: u64) -> Option<u64> {
    (!size.is_multiple_of(TILE)).then_some(size / TILE * TILE)
}

/// What hashes of subtrees are computed from.
pub(crate) struct Known<'a> {
    pub(crate) nodes: &'a [Hash],
    /// Leaf hashes of some tiles, by first leaf.
    pub(crate) leaves: BTreeMap<u64, Vec<Hash>>,
}

/// Largest power of two below `n`.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

impl Known<'_> {
    /// `MTH(D[start:end])`; `None` when a needed tile was not loaded.
    pub(crate) fn root(&self, start: u64, end: u64) -> Option<Hash> {
        match end - start {
            0 => Some(empty_root()),
            1 => self.leaves.get(&(start / TILE * TILE))?.get((start % TILE) as usize).copied(),
            TILE if start.is_multiple_of(TILE) => self.nodes.get((start / TILE) as usize).copied(),
            n => {
                let k = split(n);
                Some(node_hash(&self.root(start, start + k)?, &self.root(start + k, end)?))
            }
        }
    }

    /// `PATH(index, D[start:end])`, RFC 6962 section 2.1.1.
    pub(crate) fn path(&self, index: u64, start: u64, end: u64) -> Option<Vec<Hash>> {
        if end - start == 1 {
            return Some(Vec::new());
        }
        let middle = start + split(end - start);
        let (mut path, sibling) = if index < middle {
            (self.path(index, start, middle)?, self.root(middle, end)?)
        } else {
            (self.path(index, middle, end)?, self.root(start, middle)?)
        };
        path.push(sibling);
        Some(path)
    }

    /// `PROOF(from, D[0:to])`, RFC 6962 section 2.1.2.
    pub(crate) fn consistency(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        if from == 0 || from == to { Some(Vec::new()) } else { self.subproof(from, 0, to, true) }
    }

    fn subproof(&self, from: u64, start: u64, end: u64, whole: bool) -> Option<Vec<Hash>> {
        if from == end {
            return if whole { Some(Vec::new()) } else { Some(vec![self.root(start, end)?]) };
        }
        let middle = start + split(end - start);
        let (mut proof, sibling) = if from <= middle {
            (self.subproof(from, start, middle, whole)?, self.root(middle, end)?)
        } else {
            (self.subproof(from, middle, end, false)?, self.root(start, middle)?)
        };
        proof.push(sibling);
        Some(proof)
    }
}

/// Checks an inclusion proof, RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut fnode, mut snode, mut hash) = (index, size - 1, *leaf);
    for p in path {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node_hash(p, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node_hash(&hash, p);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && hash == *root
}

/// Checks a consistency proof, RFC 9162 section 2.1.4.2.
pub fn verify_consistency(from: u64, to: u64, path: &[Hash], old: &Hash, new: &Hash) -> bool {
    if from > to {
        return false;
    }
    if from == to {
        return path.is_empty() && old == new;
    }
    if from == 0 {
        return path.is_empty() && *old == empty_root();
    }
    let mut rest = path.iter();
    let first = if from.is_power_of_two() { Some(old) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut fnode, mut snode) = (from - 1, to - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    let (mut fr, mut sr) = (*first, *first);
    for c in rest {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            fr = node_hash(c, &fr);
            sr = node_hash(c, &sr);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            sr = node_hash(&sr, c);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && fr == *old && sr == *new
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn leaves(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn known(tree: &Tree, all: &[Hash]) -> BTreeMap<u64, Vec<Hash>> {
        let _ = tree;
        all.chunks(TILE as usize).enumerate().map(|(i, tile)| (i as u64 * TILE, tile.to_vec())).collect()
    }

    /// RFC 6962's definition, word for word.
    fn mth(d: &[Hash]) -> Hash {
        match d.len() {
            0 => empty_root(),
            1 => d[0],
            n => {
                let k = split(n as u64) as usize;
                node_hash(&mth(&d[..k]), &mth(&d[k..]))
            }
        }
    }

    #[test]
    fn the_root_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(
            hex::encode(Tree::default().root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn the_growing_root_is_the_defined_one() {
        let all = leaves(1100);
        let mut tree = Tree::default();
        for (i, leaf) in all.iter().enumerate() {
            tree.push(*leaf);
            if i < 40 || i % 97 == 0 || i % 256 < 2 {
                assert_eq!(tree.root(), mth(&all[..=i]), "size {}", i + 1);
            }
        }
        assert_eq!(tree.nodes().len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn proofs_hold_and_wrong_ones_do_not(to in 1_u64..1500, a in 0_u64..1500, i in 0_u64..1500, bit in 0_usize..256) {
            let (from, index) = (a % (to + 1), i % to);
            let all = leaves(to);
            let mut tree = Tree::default();
            for leaf in &all {
                tree.push(*leaf);
            }
            let known = Known { nodes: tree.nodes(), leaves: known(&tree, &all) };
            let root = tree.root();
            let path = known.path(index, 0, to).unwrap();
            prop_assert!(verify_inclusion(&all[index as usize], index, to, &path, &root));
            let old = mth(&all[..from as usize]);
            let proof = known.consistency(from, to).unwrap();
            prop_assert!(verify_consistency(from, to, &proof, &old, &root));

            let mut bad = root;
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify_inclusion(&all[index as usize], index, to, &path, &bad));
            prop_assert!(from == 0 || !verify_consistency(from, to, &proof, &old, &bad));
            for n in 0..path.len() {
                let mut wrong = path.clone();
                wrong[n][bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!verify_inclusion(&all[index as usize], index, to, &wrong, &root));
            }
            let short = &path[..path.len().saturating_sub(1)];
            prop_assert!(path.is_empty() || !verify_inclusion(&all[index as usize], index, to, short, &root));
        }
    }
}
