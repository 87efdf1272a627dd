//! What parses, and what is refused where.

use lem_engine_logql::{Dialect, limits, parse, parse_with, required_literals};

const ACCEPTED: &[&str] = &[
    r#"{app="a"}"#,
    r#"{app="a", env=~"x|y", b!="", c!~"z",}"#,
    r#"{app="a"} |= "x" != `y` |~ "a.*b" !~ "c" |> "<_> x <_>" !> "a<_>""#,
    r#"{app="a"} |= "a" or "b" or "c" != ip("10.0.0.0/8")"#,
    r#"{app="a"} | json | logfmt --strict --keep-empty | unpack | decolorize"#,
    r#"{app="a"} | json a="x.y[0]", b="[\"k v\"]" | logfmt c, d="e""#,
    r#"{app="a"} | regexp "(?P<x>\\d+)" | pattern "<ip> - <_> <rest>""#,
    r#"{app="a"} | status >= 500 and (method="GET" or method="POST"), size > 10KB took < 1m30s"#,
    r#"{app="a"} | addr = ip("10.0.0.1-10.0.0.9") | x = -5"#,
    r#"{app="a"} | line_format "{{.x | ToUpper}} {{ if eq .y \"1\" }}a{{ else if .z }}b{{ else }}c{{ end }}""#,
    r#"{app="a"} | label_format a=b, c="{{.d}}" | drop x, y="z", w=~"q.*" | keep a"#,
    r#"rate({app="a"}[5m])"#,
    r#"rate({app="a"} |= "x" [5m] offset 1h)"#,
    r#"rate({app="a"}[5m] |= "x")"#,
    r#"rate(({app="a"} |= "x")[5m])"#,
    r#"sum by (a, b) (count_over_time({app="a"}[1m]))"#,
    r#"sum(count_over_time({app="a"}[1m])) without (a)"#,
    r#"quantile_over_time(0.99, {app="a"} | json | unwrap duration(x) | __error__="" [5m]) by (app)"#,
    r#"topk(3, rate({app="a"}[5m])) / on(x) group_left(y) rate({app="b"}[5m]) > bool 1"#,
    r#"label_replace(rate({app="a"}[5m]), "dst", "$1", "src", "(.*)")"#,
    "vector(1)+vector(1)",
    "1 + 2 * 3 ^ 2 ^ 1",
    "# comment\nvector(1) # more",
];

#[test]
fn accepted() {
    for query in ACCEPTED.iter().copied() {
        for dialect in [Dialect::Loki, Dialect::Extended] {
            parse_with(query, dialect).unwrap_or_else(|e| panic!("{query}: {e}"));
        }
    }
}

#[test]
fn refused_with_its_place() {
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    let many = format!("{{a=\"b\"}}{}", "|= \"x\"".repeat(limits::STAGES_MAX + 1));
    let long = format!("{{a=\"{}\"}}", "x".repeat(limits::QUERY_BYTES_MAX));
    for (query, expect) in [
        ("{app=}", "line 1, col 6: unexpected }, expecting a string"),
        ("{app=\"a\"\n} | nope", "line 2, col 5: unknown stage nope"),
        ("{app=~\".*\"}", "col 1: queries require at least one regexp or equality matcher"),
        ("{}", "col 1: queries require at least one"),
        ("{app=~\"(\"}", "col 7: bad regular expression"),
        ("{app=\"a\"} |= ", "expecting a string"),
        ("{app=\"a\"} | pattern \"<a><b>\"", "two captures need text between them"),
        ("{app=\"a\"} | pattern \"<_> x\"", "at least one named capture"),
        ("{app=\"a\"} | regexp \"x\"", "at least one named capture"),
        ("{app=\"a\"} | line_format \"{{.x\"", "bad template: {{ is not closed"),
        ("{app=\"a\"} | line_format \"{{ nope .x }}\"", "function \"nope\" is not defined"),
        ("{app=\"a\"} | line_format \"{{ range .x }}{{ end }}\"", "range is not supported"),
        ("{app=\"a\"} | label_format a=b, a=c", "set twice"),
        ("{app=\"a\"} | json a=\"[\"", "bad json path"),
        ("{app=\"a\"} | xml", "the xml parser is not supported"),
        ("{app=\"a\"} |= ip(\"nope\")", "no address, range or network"),
        ("rate({app=\"a\"})", "expecting a range such as [5m]"),
        ("rate({app=\"a\"}[5])", "expecting a duration"),
        ("sum_over_time({app=\"a\"}[5m])", "sum_over_time needs | unwrap"),
        ("count_over_time({app=\"a\"} | unwrap x [5m])", "does not work with | unwrap"),
        ("sum_over_time({app=\"a\"} | unwrap x [5m]) by (y)", "grouping is not allowed for sum_over_time"),
        ("rate({app=\"a\"} | unwrap x |= \"y\" [5m])", "expecting a range"),
        ("rate({app=\"a\"} | unwrap x | json [5m])", "only label filters may follow unwrap"),
        ("topk(0, rate({app=\"a\"}[5m]))", "whole number above 0"),
        ("sort(rate({app=\"a\"}[5m])) by (x)", "grouping is not allowed for sort"),
        ("1 + bool 2", "bool goes with comparisons only"),
        ("1 and 2", "set operators do not work on numbers"),
        ("nope({app=\"a\"}[5m])", "unknown function nope"),
        ("{app=\"a\"} + 1", "expecting an operator or the end"),
        ("{app=\"a", "string is not closed"),
        ("{app=\"a\"} | x > 5zz", "\"5zz\" is no number, duration or size"),
        ("{app=\"a\"} $", "unexpected character '$'"),
        (&deep, "nested deeper than 64 levels"),
        (&many, "more than 256 stages"),
        (&long, "the limit is"),
    ] {
        let error = parse_with(query, Dialect::Loki).expect_err(query).to_string();
        assert!(error.contains(expect), "{}\n  {error}\n  {expect}", &query[..query.len().min(80)]);
    }
}

#[test]
fn required() {
    let check = |query: &str| {
        let lem_engine_logql::ast::Expr::Log(log) = parse(query).unwrap() else { panic!("{query}") };
        let one = |any: Vec<lem_engine_logs::Literal>| {
            any.iter().map(|l| String::from_utf8_lossy(&l.bytes).into_owned()).collect::<Vec<_>>().join("|")
        };
        required_literals(&log).into_iter().map(one).collect::<Vec<_>>().join(" & ")
    };
    for (query, expect) in [
        (r#"{a="b"} |= "x" != "y" |= "z""#, "x & z"),
        (r#"{a="b"} |= "one" or "two""#, "one|two"),
        (r#"{a="b"} |= "one" or ip("1.2.3.4")"#, ""),
        (r#"{a="b"} |~ "foo.*bar(baz)+q?""#, "foo & bar & baz"),
        (r#"{a="b"} |~ "(?i)foo""#, ""),
        (r#"{a="b"} |~ "foo|bar""#, ""),
        (r#"{a="b"} |> "<_>foo <_> bar""#, "foo  &  bar"),
        (r#"{a="b"} | json |= "x" | line_format "y" |= "y""#, "x"),
        (r#"timeout "payment failed" | json"#, "timeout & payment failed"),
    ] {
        assert_eq!(check(query), expect, "{query}");
    }
}

#[test]
fn no_mutilation_of_a_query_panics() {
    let junk = [
        "",
        "\"",
        "`",
        "{",
        "}}",
        "(",
        "|",
        "\\",
        "5m",
        "\u{e9}",
        "-",
        " or ",
        "{{",
        "$",
        "[",
        "99999999999999999999h",
        "e",
        ".",
    ];
    let mut dialects = [Dialect::Loki, Dialect::Extended].into_iter().cycle();
    let mut refused = 0;
    for query in ACCEPTED {
        for (at, c) in query.char_indices() {
            for piece in junk {
                let (before, after) = (&query[..at], &query[at + c.len_utf8()..]);
                let dialect = dialects.next().unwrap();
                for text in [format!("{before}{piece}"), format!("{before}{piece}{after}"), format!("{piece}{before}")]
                {
                    if let Err(error) = parse_with(&text, dialect) {
                        assert!(error.span.start <= text.len() && error.line > 0 && error.column > 0, "{text}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
}
