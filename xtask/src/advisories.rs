//! `cargo xtask advisories DIR`: the embedded advisory snapshot, made from a checkout of the RustSec database. The same
//! checkout gives the same bytes; the snapshot's day is that of its newest advisory.

use anyhow::{Context, Result};
use lem_engine_scan::sca::Bundle;
use std::path::Path;

/// Where the snapshot is checked in.
const SNAPSHOT: &str = "crates/lem-engine-scan/data/rustsec.advisories.zst";

pub(crate) fn run(root: &Path, dir: &Path) -> Result<()> {
    let bundle = Bundle::of_rustsec(dir)?;
    let bytes = bundle.encode()?;
    std::fs::write(root.join(SNAPSHOT), &bytes).with_context(|| SNAPSHOT.to_owned())?;
    println!(
        "{}: {} advisories of {}, {} files did not read, {} bytes",
        SNAPSHOT,
        bundle.advisories.len(),
        bundle.date,
        bundle.unread,
        bytes.len()
    );
    Ok(())
}
