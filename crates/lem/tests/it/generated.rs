//! Checked-in documents that are made from the code do not drift. `UPDATE=1 cargo nextest run --package lem` makes them again.

use crate::repository::{Answer, lem};
use std::path::Path;

#[test]
fn the_command_line_reference_is_up_to_date() {
    let made = Answer::of(&lem().arg("reference").output().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made.code(0).out).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made.code(0).out == kept, "docs/reference/cli.md has drifted; run the test with UPDATE=1");
}
