//! PEM: RFC 7468. Blocks with headers are encrypted and are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters of a line.
const WIDTH: usize = 64;
/// Largest text that is read.
pub(super) const MAX_PEM_BYTES: usize = 1 << 20;

/// A block, with the line break at its end.
pub(super) fn encode(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out + &format!("-----END {label}-----\n")
}

/// The first block: its label and what is in it.
pub(super) fn decode(text: &str) -> Result<(String, Vec<u8>), String> {
    if text.len() > MAX_PEM_BYTES {
        return Err(format!("{} bytes; at most {MAX_PEM_BYTES} are read as PEM", text.len()));
    }
    let no_block = || "no PEM block: it begins with -----BEGIN".to_owned();
    let (_, begun) = text.split_once("-----BEGIN ").ok_or_else(no_block)?;
    let (label, body) = begun.split_once("-----").ok_or_else(no_block)?;
    let end = format!("-----END {label}-----");
    let (body, _) = body.split_once(end.as_str()).ok_or_else(|| format!("the PEM block {label} has no end"))?;
    if body.contains(':') || label.starts_with("ENCRYPTED") {
        return Err(format!("the PEM block {label} is encrypted; a key without a passphrase is needed"));
    }
    let body: String = body.split_whitespace().collect();
    let bytes = STANDARD.decode(body).map_err(|_| format!("the PEM block {label} is not base64"))?;
    Ok((label.to_owned(), bytes))
}
