//! Users' files: detection, parsing with spans, diagnostics; no stage logic.
