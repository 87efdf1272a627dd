//! Expressions with the values the reference implementation gives them (1.11.4), as `try(jsonencode(EXPR), "ERROR")`.

use crate::{in_file, shown};

#[test]
fn expressions_have_the_values_of_the_reference() {
    let mut wrong = vec![];
    let mut count = 0;
    let mut lines = include_str!("expressions.txt").lines();
    while let (Some(expr), Some(expected)) = (lines.next(), lines.next()) {
        let expected: String = serde_json::from_str(expected.trim()).expect("the table holds JSON texts");
        let wrapped = format!("try(jsonencode({expr}), \"ERROR\")");
        let found = in_file("locals {}", &wrapped).map(|v| v.as_str().unwrap_or("not known").to_owned());
        count += 1;
        if found.as_deref() != Ok(expected.as_str()) {
            wrong.push(format!("{expr}\n   expected {expected}\n   found    {found:?}"));
        }
    }
    assert!(count >= 400, "the table was read");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_not_known_is_named_with_its_place_and_the_nearest_name() {
    let table = [
        ("upprcase(\"a\")", "test:1:1: there is no function \"upprcase\" [unknown-function]"),
        ("uppr(\"a\")", "did you mean \"upper\"?"),
        ("local.nothing", "test:1:7: there is no local \"nothing\" [unknown-reference]"),
        ("aws_instance.web.id", "there is no resource aws_instance.web in this module"),
        ("1 + x.y", "test:1:5: there is no resource x.y"),
        ("upper()", "upper(): takes 1 arguments, not 0 [bad-arguments]"),
        ("rsadecrypt(\"a\", \"b\")", "not supported yet [unsupported]"),
        ("1 +", "[hcl-syntax]"),
    ];
    for (expr, expected) in table {
        let found = shown(expr);
        assert!(found.contains(expected), "{expr}: {found}");
    }
}

#[test]
fn unknown_spreads_and_says_why() {
    let file = "resource \"x_y\" \"z\" {}\nresource \"x_y\" \"many\" {\n  count = 2\n}";
    let unknown = [
        "x_y.z.id",
        "\"a-${x_y.z.id}\"",
        "upper(x_y.z.id)",
        "x_y.z.id + 1",
        "x_y.z.id == 1",
        "x_y.z.list[*].id",
        "[for a in x_y.z.list : a]",
        "{(x_y.z.id) = 1}",
        "x_y.z.flag ? 1 : 2",
        "jsonencode({a = x_y.z.id})",
        "length(x_y.z.list)",
        "x_y.many[1].id",
        "can(x_y.z.id)",
    ];
    for expr in unknown {
        let value = in_file(file, expr).unwrap_or_else(|e| panic!("{expr}: {e}"));
        assert!(value.is_unknown(), "{expr}: {value:?}");
        let why = value.first_unknown().expect("it is unknown");
        assert!(why.why.starts_with("x_y."), "{expr}: {}", why.why);
    }
    let known = [("false && x_y.z.flag", "false"), ("length([x_y.z.id, 1])", "2"), ("x_y.many[*].id == null", "false")];
    for (expr, expected) in known {
        assert_eq!(format!("{:?}", in_file(file, expr).expect(expr)), expected, "{expr}");
    }
}

#[test]
fn sensitive_spreads_through_everything() {
    let file =
        "variable \"s\" {\n  sensitive = true\n  default = \"secret\"\n}\nlocals {\n  o = { a = var.s, b = 1 }\n}";
    let hidden = [
        "var.s",
        "\"a${var.s}\"",
        "upper(var.s)",
        "var.s == \"secret\"",
        "[for c in split(\"\", var.s) : c]",
        "local.o.a",
        "jsonencode(local.o)",
        "var.s == \"x\" ? 1 : 2",
        "{ (var.s) = 1 }",
        "join(\",\", [var.s])",
        "toset([var.s])",
        "merge(local.o, {}).a",
        "templatestring(\"$${x}\", { x = var.s })",
    ];
    for expr in hidden {
        let value = in_file(file, expr).unwrap_or_else(|e| panic!("{expr}: {e}"));
        assert!(value.has_sensitive(), "{expr}: {value:?}");
        assert!(!format!("{value:?}").contains("secret"), "{expr} is shown");
    }
    assert!(!in_file(file, "local.o.b").expect("b").has_sensitive());
    assert!(!in_file(file, "nonsensitive(var.s)").expect("s").has_sensitive());
}

#[test]
fn heredocs_and_directives_write_what_they_say() {
    let file = "locals {\n  a = <<-EOT\n    x\n      y ${1 + 1}\n    z\n  EOT\n  b = <<E\n  k\nE\n}";
    assert_eq!(in_file(file, "local.b").expect("b").as_str(), Some("  k\n"));
    let directives = r#""a%{ for x in [1, 2] ~}\n  <${x}>\n%{~ endfor }b""#;
    assert_eq!(in_file(file, directives).expect("directives").as_str(), Some("a<1><2>b"));
    assert_eq!(in_file(file, "local.a").expect("a").as_str(), Some("x\n  y 2\nz\n"));
}

#[test]
fn times_of_an_apply_are_unknown_in_a_plan() {
    for expr in ["timestamp()", "uuid()", "bcrypt(\"x\")"] {
        assert!(in_file("locals {}", expr).expect(expr).is_unknown(), "{expr}");
    }
    assert_eq!(shown("plantimestamp()"), "\"1970-01-01T00:00:00Z\"");
}

#[test]
fn files_are_read_from_the_root() {
    assert_eq!(shown("fileexists(\"Cargo.toml\")"), "true");
    assert_eq!(shown("fileexists(\"nothing\")"), "false");
    assert_eq!(shown("fileset(\"tests\", \"**/mai?.rs\")"), "[\"it/main.rs\"]");
    assert_eq!(shown("filesha256(\"Cargo.toml\") == sha256(file(\"Cargo.toml\"))"), "true");
    assert!(shown("file(\"nothing\")").contains("nothing cannot be read"));
}
