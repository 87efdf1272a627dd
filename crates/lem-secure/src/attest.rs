//! Signed statements about artifacts: in-toto Statement v1 with SLSA provenance v1, in a DSSE envelope, Ed25519.
//!
//! The control plane signs, outside the job. Verification needs the envelope, the public key and the artifact's digest.

use crate::error::SecureError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use lem_ledger::{PrivateKey, PublicKey};
use lem_model::fact::ArtifactPackaged;
use lem_model::{CommitSha, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Type of the statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Type of provenance.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// Media type in the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// How our own runs build.
const BUILD_TYPE: &str = "https://lemniscate.dev/build/workflow/v1";
/// Largest envelope that is verified.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024 * 1024;

/// A DSSE envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// Signatures over the pre-authentication encoding.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Who signed.
    pub keyid: String,
    /// Signature in base64.
    pub sig: String,
}

/// What a verified envelope says.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Type of what it says.
    pub predicate: String,
    /// SHA-256 digests it speaks about.
    pub subjects: Vec<Digest>,
    /// The whole statement.
    pub statement: Value,
}

/// The provenance of an artifact that a run of ours packaged.
pub fn provenance(artifact: &ArtifactPackaged, repository: &str, at: Timestamp) -> Value {
    let source = format!("git+{repository}@{}", artifact.sha);
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": artifact.purl, "digest": { "sha256": artifact.digest.hex() } }],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "source": source, "ref": artifact.branch },
                "internalParameters": { "run": artifact.run.as_str() },
                "resolvedDependencies": [{ "uri": source, "digest": { "gitCommit": artifact.sha.as_str() } }],
            },
            "runDetails": {
                "builder": { "id": format!("https://lemniscate.dev/lem/{}", env!("CARGO_PKG_VERSION")) },
                "metadata": { "invocationId": artifact.run.as_str(), "finishedOn": at.to_string() },
            },
        },
    })
}

/// A statement that a bill of materials belongs to an artifact.
pub fn bill(name: &str, artifact: &Digest, document: &Value) -> Value {
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": name, "digest": { "sha256": artifact.hex() } }],
        "predicateType": lem_engine_scan::sbom::PREDICATE,
        "predicate": document,
    })
}

/// Signs a statement.
pub fn sign(statement: &Value, key: &PrivateKey) -> Envelope {
    let payload = statement.to_string();
    let signature = key.sign_statement(&encoding(PAYLOAD_TYPE, payload.as_bytes()));
    Envelope {
        payload_type: PAYLOAD_TYPE.into(),
        payload: BASE64.encode(payload),
        signatures: vec![EnvelopeSignature { keyid: key.public().id(), sig: BASE64.encode(signature) }],
    }
}

/// Verifies an envelope with a key; with `artifact`, also that it speaks about it.
pub fn verify(bytes: &[u8], key: &PublicKey, artifact: Option<&Digest>) -> Result<Verified, SecureError> {
    let wrong = |why: &str| SecureError::Attestation(why.to_owned());
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(wrong("the envelope is larger than any of ours"));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|e| wrong(&format!("not a DSSE envelope: {e}")))?;
    let payload = BASE64.decode(&envelope.payload).map_err(|_| wrong("the payload is no base64"))?;
    let encoded = encoding(&envelope.payload_type, &payload);
    let holds = |s: &EnvelopeSignature| BASE64.decode(&s.sig).is_ok_and(|sig| key.signed_statement(&encoded, &sig));
    if !envelope.signatures.iter().any(holds) {
        return Err(wrong("no signature of the known key holds"));
    }
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(wrong(&format!("the payload is {}, not an in-toto statement", envelope.payload_type)));
    }
    let statement: Value =
        serde_json::from_slice(&payload).map_err(|e| wrong(&format!("the payload is no JSON: {e}")))?;
    if statement["_type"] != STATEMENT {
        return Err(wrong("the payload is no in-toto statement of version 1"));
    }
    let digests = statement["subject"].as_array().into_iter().flatten().filter_map(|s| s["digest"]["sha256"].as_str());
    let subjects: Vec<Digest> = digests.map(|d| Digest::new(format!("sha256:{d}"))).collect();
    if artifact.is_some_and(|artifact| !subjects.contains(artifact)) {
        return Err(wrong("the statement speaks about another artifact"));
    }
    let predicate = statement["predicateType"].as_str().unwrap_or_default().to_owned();
    Ok(Verified { predicate, subjects, statement })
}

/// The commit a verified provenance names.
pub fn commit(verified: &Verified) -> Option<CommitSha> {
    let dependencies = verified.statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array()?;
    dependencies.iter().find_map(|d| d["digest"]["gitCommit"].as_str()).map(CommitSha::from)
}

/// DSSE's pre-authentication encoding: the type takes part, so that no statement passes for another kind of document.
fn encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        assert_eq!(
            encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else() {
        let key = PrivateKey::generate("example.com/test").unwrap();
        let artifact = Digest::of(b"artifact");
        let envelope = sign(&bill("shop", &artifact, &json!({"a": 1})), &key);
        let bytes = serde_json::to_vec(&envelope).unwrap();
        let verified = verify(&bytes, &key.public(), Some(&artifact)).unwrap();
        assert_eq!(verified.predicate, "https://cyclonedx.org/bom");
        let said = |bytes: &[u8], key: &PublicKey, of: &Digest| verify(bytes, key, Some(of)).unwrap_err().to_string();
        assert!(said(&bytes, &key.public(), &Digest::of(b"other")).contains("another artifact"));
        let other = PrivateKey::generate("example.com/test").unwrap();
        assert!(said(&bytes, &other.public(), &artifact).contains("no signature"));
        let mut forged = envelope.clone();
        forged.payload = BASE64.encode(bill("shop", &artifact, &json!({"a": 2})).to_string());
        assert!(said(&serde_json::to_vec(&forged).unwrap(), &key.public(), &artifact).contains("no signature"));
        assert!(said(b"{}", &key.public(), &artifact).contains("not a DSSE envelope"));
    }
}
