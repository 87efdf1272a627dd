//! Checkpoints: C2SP tlog-checkpoint in a C2SP signed note, and the Ed25519 key that signs them.

use crate::tree::Hash;
use crate::{LedgerError, log::ProofOf};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::Path;

/// Origin when none is configured.
pub const DEFAULT_ORIGIN: &str = "lemniscate.local/ledger";
/// Signature type of Ed25519, C2SP signed-note.
const ED25519: u8 = 1;

/// A signed size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Name of the ledger.
    pub origin: String,
    /// Events.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The whole note, as it is published.
    pub note: String,
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note)
    }
}

impl SignedCheckpoint {
    /// Reads a note; signatures are checked by [`PublicKey::check`].
    pub fn parse(note: &str) -> Result<Self, LedgerError> {
        let wrong = |why: &str| LedgerError::malformed("checkpoint", why);
        let (text, _) = note.split_once("\n\n").ok_or_else(|| wrong("no blank line before the signatures"))?;
        let mut lines = text.lines();
        let origin = lines.next().filter(|l| !l.is_empty()).ok_or_else(|| wrong("no origin"))?.to_owned();
        let digits = lines.next().ok_or_else(|| wrong("no size"))?;
        let size: u64 = digits.parse().map_err(|_| wrong("size is no number"))?;
        if size.to_string() != digits {
            return Err(wrong("size is not written as a plain decimal"));
        }
        let root = lines.next().and_then(|l| BASE64.decode(l).ok()).ok_or_else(|| wrong("root is no base64"))?;
        let root = Hash::try_from(root.as_slice()).map_err(|_| wrong("root is not 32 bytes"))?;
        Ok(Self { origin, size, root, note: note.to_owned() })
    }
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Whose signature is believed: `name+id+base64`, as C2SP signed-note writes verifier keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(key_id(&self.name, &self.key)), BASE64.encode(bytes))
    }
}

impl PublicKey {
    /// Reads a verifier key.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |why: &str| LedgerError::malformed("public key", why);
        // Base64 has '+' too, so only the first two count.
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("not name+id+base64"));
        };
        let data = BASE64.decode(data).map_err(|_| wrong("no base64"))?;
        let Some((&ED25519, data)) = data.split_first() else { return Err(wrong("not Ed25519")) };
        let data = Hash::try_from(data).map_err(|_| wrong("not 32 bytes"))?;
        let key = VerifyingKey::from_bytes(&data).map_err(|e| wrong(&e.to_string()))?;
        if hex::encode(key_id(name, &key)) != id {
            return Err(wrong("key id does not match"));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Its id, as notes and envelopes quote it.
    pub fn id(&self) -> String {
        format!("{}+{}", self.name, hex::encode(key_id(&self.name, &self.key)))
    }

    /// Whether this key signed these bytes with [`PrivateKey::sign_statement`].
    pub fn signed_statement(&self, encoded: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(encoded, &signature).is_ok())
    }

    /// Checks that the note carries this key's signature and that it holds. Other signatures are ignored.
    pub fn check(&self, checkpoint: &SignedCheckpoint) -> Result<(), LedgerError> {
        let wrong = |why: &str| LedgerError::malformed("checkpoint", why);
        let note = &checkpoint.note;
        let end = note.find("\n\n").ok_or_else(|| wrong("no blank line before the signatures"))? + 1;
        let (text, signatures) = (&note[..end], &note[end + 1..]);
        let mut signed = false;
        for line in signatures.lines() {
            let Some((name, data)) = line.strip_prefix("\u{2014} ").and_then(|l| l.rsplit_once(' ')) else {
                return Err(wrong("a signature line does not read"));
            };
            let data = BASE64.decode(data).map_err(|_| wrong("a signature is no base64"))?;
            if name != self.name || data.get(..4) != Some(&key_id(&self.name, &self.key)[..]) {
                continue;
            }
            let signature = Signature::from_slice(&data[4..]).map_err(|_| wrong("a signature is not 64 bytes"))?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| wrong("the signature does not hold"))?;
            signed = true;
        }
        if signed { Ok(()) } else { Err(wrong("not signed by the known key")) }
    }
}

/// The key that signs.
pub struct PrivateKey {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// A fresh key under this name.
    pub fn generate(name: &str) -> Result<Self, LedgerError> {
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+') {
            return Err(LedgerError::malformed("origin", format!("{name:?} must have no space and no plus sign")));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&rand::random()) })
    }

    /// Name, which is the origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What others check with.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs a size and root.
    pub fn sign(&self, size: u64, root: &Hash) -> SignedCheckpoint {
        let text = format!("{}\n{size}\n{}\n", self.name, BASE64.encode(root));
        let mut data = key_id(&self.name, &self.key.verifying_key()).to_vec();
        data.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n\u{2014} {} {}\n", self.name, BASE64.encode(data));
        SignedCheckpoint { origin: self.name.clone(), size, root: *root, note }
    }

    /// Signs a statement. What is given must name its own type, as DSSE's pre-authentication encoding does, so that it
    /// can never be taken for a checkpoint.
    pub fn sign_statement(&self, encoded: &[u8]) -> [u8; 64] {
        self.key.sign(encoded).to_bytes()
    }

    fn write(&self) -> String {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(&self.key.to_bytes());
        let id = hex::encode(key_id(&self.name, &self.key.verifying_key()));
        format!("PRIVATE+KEY+{}+{id}+{}\n", self.name, BASE64.encode(bytes))
    }

    fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |why: &str| LedgerError::malformed("signing key", why);
        let rest = text.trim().strip_prefix("PRIVATE+KEY+").ok_or_else(|| wrong("not a signed-note private key"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(_), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("not name+id+base64"));
        };
        let data = BASE64.decode(data).map_err(|_| wrong("no base64"))?;
        let Some((&ED25519, seed)) = data.split_first() else { return Err(wrong("not Ed25519")) };
        let seed = Hash::try_from(seed).map_err(|_| wrong("not 32 bytes"))?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The key of this file, made with mode 0600 when there is none. An `origin` that differs from the file's is an
    /// error: it would make a second ledger of one.
    pub fn load(path: &Path, origin: Option<&str>) -> Result<Self, LedgerError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let key = Self::parse(&text)?;
                match origin {
                    Some(origin) if origin != key.name => Err(LedgerError::malformed(
                        "origin",
                        format!("configured as {origin:?}, but {} belongs to {:?}", path.display(), key.name),
                    )),
                    _ => Ok(key),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate(origin.unwrap_or(DEFAULT_ORIGIN))?;
                let make = || {
                    use std::os::unix::fs::OpenOptionsExt as _;
                    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                    file.write_all(key.write().as_bytes())?;
                    file.sync_all()
                };
                make().map_err(|e| LedgerError::file("write", path, e))?;
                Ok(key)
            }
            Err(error) => Err(LedgerError::file("read", path, error)),
        }
    }
}

/// First line of a `.tlog-proof` file.
const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An inclusion proof with its checkpoint: all an outsider needs beside the leaf and the public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Leaf index.
    pub index: u64,
    /// Hashes from the leaf's sibling upward.
    pub path: Vec<Hash>,
    /// The tree it is a proof in.
    pub checkpoint: SignedCheckpoint,
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{PROOF_HEADER}\nindex {}\n", self.index);
        for hash in &self.path {
            let _ = writeln!(text, "{}", BASE64.encode(hash));
        }
        write!(f, "{text}\n{}", self.checkpoint.note)
    }
}

impl ProofFile {
    /// Reads a `.tlog-proof` file.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |why: &str| LedgerError::malformed("proof file", why);
        let (head, note) = text.split_once("\n\n").ok_or_else(|| wrong("no blank line before the checkpoint"))?;
        let mut lines = head.lines();
        if lines.next() != Some(PROOF_HEADER) {
            return Err(wrong("unknown first line"));
        }
        let index = lines.next().and_then(|l| l.strip_prefix("index ")).and_then(|n| n.parse().ok());
        let path = lines
            .map(|l| BASE64.decode(l).ok().and_then(|h| Hash::try_from(h.as_slice()).ok()))
            .collect::<Option<Vec<Hash>>>()
            .ok_or_else(|| wrong("a hash does not read"))?;
        Ok(Self { index: index.ok_or_else(|| wrong("no index"))?, path, checkpoint: SignedCheckpoint::parse(note)? })
    }

    /// What it proves.
    pub fn of(&self) -> ProofOf {
        ProofOf::Inclusion { seq: self.index, size: self.checkpoint.size }
    }

    /// Checks that this leaf is where the proof says, in a tree the key signed.
    pub fn check(&self, leaf: &[u8], key: &PublicKey) -> Result<(), LedgerError> {
        key.check(&self.checkpoint)?;
        let hash = crate::tree::leaf_hash(leaf);
        let (size, root) = (self.checkpoint.size, &self.checkpoint.root);
        if crate::tree::verify_inclusion(&hash, self.index, size, &self.path, root) {
            Ok(())
        } else {
            Err(LedgerError::malformed("proof file", format!("leaf {} is not in the signed tree", self.index)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_note_reads_back_and_a_changed_one_does_not_hold() {
        let key = PrivateKey::generate("example.com/lem").unwrap();
        let signed = key.sign(3, &[7; 32]);
        let read = SignedCheckpoint::parse(&signed.note).unwrap();
        assert_eq!(read, signed);
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        assert_eq!(public, key.public());
        public.check(&read).unwrap();
        let forged = SignedCheckpoint::parse(&signed.note.replace("\n3\n", "\n4\n")).unwrap();
        assert!(public.check(&forged).unwrap_err().to_string().contains("does not hold"));
        let stranger = PrivateKey::generate("example.com/lem").unwrap().public();
        assert!(stranger.check(&read).unwrap_err().to_string().contains("not signed by the known key"));
    }

    #[test]
    fn a_key_file_is_private_and_keeps_its_origin() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        let made = PrivateKey::load(&path, Some("example.com/a")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PrivateKey::load(&path, None).unwrap().public(), made.public());
        let error = PrivateKey::load(&path, Some("example.com/b")).unwrap_err().to_string();
        assert!(error.contains("belongs to \"example.com/a\""), "{error}");
    }
}
