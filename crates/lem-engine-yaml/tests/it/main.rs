//! Trees, places, messages and limits.
#![expect(clippy::unwrap_used, reason = "tests")]

use lem_engine_yaml::*;

fn one(text: &str) -> Node {
    let (node, diagnostics) = parse_one(text, "f.yml", Options::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    node.unwrap()
}

fn errors(text: &str, options: Options) -> Vec<String> {
    parse_one(text, "f.yml", options).1.iter().map(ToString::to_string).collect()
}

#[test]
fn every_node_knows_its_place() {
    let tree = one("a: 1\nb:\n  - x\n  - {c: d}\n");
    let list = tree.get("b").unwrap();
    assert_eq!(list.items().unwrap()[0].place("f.yml").to_string(), "f.yml:3:5");
    assert_eq!(list.items().unwrap()[1].get("c").unwrap().place("f.yml").to_string(), "f.yml:4:9");
}

#[test]
fn scalars_resolve_by_the_core_schema() {
    for (text, expect) in [
        ("~", Resolved::Null),
        ("true", Resolved::Bool(true)),
        ("yes", Resolved::Text("yes".into())),
        ("0o17", Resolved::Int(15)),
        ("0x1F", Resolved::Int(31)),
        ("-12", Resolved::Int(-12)),
        ("1e3", Resolved::Float(1000.0)),
        ("1.10", Resolved::Float(1.1)),
        (".inf", Resolved::Float(f64::INFINITY)),
        ("\"1\"", Resolved::Text("1".into())),
        ("1.2.3", Resolved::Text("1.2.3".into())),
        ("-", Resolved::Text("-".into())),
    ] {
        assert_eq!(
            one(&format!("k: {}", if text == "-" { "'-'" } else { text }))
                .get("k")
                .unwrap()
                .scalar()
                .unwrap()
                .resolve(),
            expect,
            "{text}"
        );
    }
}

#[test]
fn syntax_errors_have_a_place() {
    let found = errors("a: [1, 2\nb: 3", Options::default());
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("f.yml:2:"), "{found:?}");
}

#[test]
fn duplicate_keys_by_choice() {
    assert_eq!(errors("a: 1\na: 2", Options::default()), ["f.yml:2:1: key \"a\" stands twice [yaml-duplicate-key]"]);
    let last = Options { duplicate_keys: DuplicateKeys::LastWins, ..Options::default() };
    let (node, warnings) = parse_one("a: 1\na: 2", "f.yml", last);
    assert_eq!(node.unwrap().get("a").unwrap().text(), Some("2"));
    assert!(!warnings[0].is_error());
}

#[test]
fn merge_keys_apply_or_stay() {
    let text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}";
    assert_eq!(one(text).get("y").unwrap().to_json(), serde_json::json!({"b": 3, "a": 1}));
    let keep = Options { merge_keys: MergeKeys::Keep, ..Options::default() };
    assert!(parse_one(text, "f.yml", keep).0.unwrap().get("y").unwrap().get("<<").is_some());
}

#[test]
fn limits_are_reached_and_named() {
    let deep = "[".repeat(MAX_DEPTH + 2) + &"]".repeat(MAX_DEPTH + 2);
    assert!(errors(&deep, Options::default())[0].contains("nested deeper"));
    let large = format!("a: {}", "x".repeat(MAX_BYTES));
    assert!(errors(&large, Options::default())[0].contains("bytes"));
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..8 {
        let previous = format!("*a{}", i - 1);
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![previous; 10].join(","));
    }
    assert!(errors(&bomb, Options::default())[0].contains("nodes"));
}

#[test]
fn a_reader_finds_all_that_is_wrong() {
    let tree = one("nam: x\ncount: many\nlist: 5\nwait: soon\n");
    let reader = Reader::new("f.yml");
    let mut fields = reader.fields(&tree, "the thing").unwrap();
    fields.require("name");
    fields.take("count").and_then(|n| reader.integer(n, "count"));
    fields.take("list").and_then(|n| reader.items(n, "list"));
    fields.take("wait").and_then(|n| reader.duration_ms(n, "wait"));
    fields.finish();
    let found: Vec<_> = reader.into_diagnostics().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "f.yml:1:1: the thing needs \"name\" [missing-key]",
            "f.yml:2:8: count must be a whole number, not a string [wrong-type]",
            "f.yml:3:7: list must be a list, not a number [wrong-type]",
            "f.yml:4:7: wait must be a duration such as 90s or 1h30m, not a string [wrong-type]",
            "f.yml:1:1: unknown key \"nam\" in the thing [unknown-key]\n  help: did you mean \"name\"?",
        ]
    );
}

#[test]
fn durations() {
    for (text, ms) in [
        ("90", Some(90_000)),
        ("1h30m", Some(5_400_000)),
        ("1.5s", Some(1500)),
        ("5ms", Some(5)),
        ("", None),
        ("5x", None),
        ("s", None),
    ] {
        assert_eq!(parse_duration_ms(text), ms, "{text}");
    }
}
