//! What makes a finding the same finding on another day.

use lem_engine_scan::Found;
use lem_model::finding::Subject;
use sha2::{Digest, Sha256};

/// Version 1: the first 16 bytes of SHA-256 over the rule and the parts of its identity, each behind its length, in
/// hexadecimal. No line number takes part, so moving a block changes nothing; renaming a resource does.
pub fn fingerprint(found: &Found) -> String {
    let key = match &found.subject {
        // A secret is the same in the tree and in history.
        Subject::History { path, .. } => path.clone(),
        _ => found.identity.key.clone(),
    };
    let mut hash = Sha256::new();
    for part in [found.rule.as_str(), found.identity.kind, &key, &found.identity.discriminator] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}
