//! Input that means harm: arbitrary bytes, deep nesting, large files. Nothing panics, everything is bounded.

use lem_engine_hcl::config::{MAX_MODULE_DEPTH, MemoryFiles, load};
use lem_engine_hcl::syntax::{MAX_FILE_BYTES, parse_body, parse_json};
use proptest::prelude::*;

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_body(&bytes, "a.tf");
        parse_json(&bytes, "a.tf.json", true);
    }

    #[test]
    fn arbitrary_expressions_do_not_panic(text in "[a-z0-9.\\[\\]{}()\"$%~?:=<>+*, \n-]{0,60}") {
        crate::shown(&text);
    }
}

#[test]
fn a_large_file_is_refused() {
    let (_, diagnostics) = parse_body(&vec![b' '; MAX_FILE_BYTES as usize + 1], "a.tf");
    assert_eq!(diagnostics[0].code, "too-large");
}

#[test]
fn deep_nesting_is_refused() {
    let (_, diagnostics) = parse_body(format!("a = {}{}", "[".repeat(5000), "]".repeat(5000)).as_bytes(), "a.tf");
    assert!(diagnostics.iter().any(lem_model::Diagnostic::is_error));
}

#[test]
fn a_module_that_calls_itself_ends() {
    let (_, diagnostics) = load(&MemoryFiles::of(&[("main.tf", "module \"m\" {\n  source = \"./.\"\n}")]), ".");
    assert!(diagnostics.iter().any(|d| d.code == "too-deep" && d.message.contains(&MAX_MODULE_DEPTH.to_string())));
}
