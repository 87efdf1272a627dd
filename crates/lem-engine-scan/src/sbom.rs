//! Bills of materials: CycloneDX 1.6 as JSON (ECMA-424).
//!
//! In: what a tree's lockfiles name, and what the bill is about. Out: a document whose bytes depend on nothing else, so
//! that its digest can be recorded: the serial number is derived from the content, the time is given.

use crate::sca::Package;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// `predicateType` of an attestation that holds such a document.
pub const PREDICATE: &str = "https://cyclonedx.org/bom";

/// What a bill is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Name.
    pub name: String,
    /// Version: a commit or a tag.
    pub version: Option<String>,
    /// SHA-256 of the artifact, hexadecimal.
    pub sha256: Option<String>,
    /// Time of the commit or the build.
    pub time: Option<Timestamp>,
}

/// The document. Packages of several lockfiles become one component with all its places.
pub fn cyclonedx(about: &About, lockfiles: &[(String, Vec<Package>)]) -> Value {
    let mut components: BTreeMap<String, (&Package, Vec<String>, bool)> = BTreeMap::new();
    for (file, packages) in lockfiles {
        for package in packages.iter().filter(|p| p.registry) {
            let (_, places, dev) = components.entry(package.purl()).or_insert((package, vec![], true));
            places.push(format!("{file}#{}", package.line));
            *dev &= package.dev;
        }
    }
    let listed: Vec<Value> = components
        .iter()
        .map(|(purl, (package, places, dev))| {
            json!({
                "type": "library",
                "bom-ref": purl,
                "name": package.name,
                "version": package.version,
                "purl": purl,
                "scope": if *dev { "excluded" } else { "required" },
                "evidence": { "occurrences": places.iter().map(|p| json!({ "location": p })).collect::<Vec<_>>() },
            })
        })
        .collect();
    let mut subject = json!({ "type": "application", "bom-ref": "subject", "name": about.name });
    if let Some(version) = &about.version {
        subject["version"] = json!(version);
    }
    if let Some(sha256) = &about.sha256 {
        subject["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    }
    let mut metadata = json!({
        "tools": { "components": [{ "type": "application", "name": "lem", "version": env!("CARGO_PKG_VERSION") }] },
        "component": subject,
    });
    if let Some(time) = about.time {
        metadata["timestamp"] = json!(time.to_string());
    }
    let body = json!({ "metadata": metadata, "components": listed });
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&body),
        "version": 1,
        "metadata": body["metadata"],
        "components": body["components"],
    })
}

/// A UUID of version 8 (RFC 9562, section 5.8) made of the content's digest.
fn serial(body: &Value) -> String {
    let digest = Sha256::digest(body.to_string().as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let h = hex::encode(bytes);
    format!("urn:uuid:{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}
