//! What the parser accepts, rejects and prints.

use lem_engine_promql::{Features, MAX_NESTING, MAX_OPERATORS, ast_json, format_query, parse};

#[test]
fn errors_have_places_and_the_wording_of_the_reference() {
    let cases = [
        ("", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:2: parse error: unexpected right parenthesis ')'"),
        ("foo{", "1:5: parse error: unexpected end of input inside braces"),
        ("foo{a>1}", "1:6: parse error: unexpected character inside braces: '>'"),
        ("{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo[0]", "1:5: parse error: duration must be greater than 0"),
        ("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"),
        ("1 and foo", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("foo and on (a) group_left (b) bar", "1:1: parse error: no grouping allowed for \"and\" operation"),
        ("clamp(foo, 1)", "1:1: parse error: expected 3 argument(s) in call to \"clamp\", got 2"),
        (
            "limitk(1, foo)",
            "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("info(foo)", "1:1: parse error: function \"info\" is not enabled"),
        ("rat(foo[5m])", "1:1: parse error: unknown function with name \"rat\""),
        ("foo offset 1m offset 2m", "1:15: parse error: offset may not be set multiple times"),
        (
            "(foo) offset 1m",
            "1:7: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
    ];
    for (query, expect) in cases {
        let error = parse(query, &Features::default()).unwrap_err();
        assert_eq!(error.to_string(), expect, "{query}");
    }
}

#[test]
fn misspelt_functions_get_a_hint() {
    let error = parse("hitogram_quantile(1, a)", &Features::default()).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean \"histogram_quantile\"?"));
}

#[test]
fn expressions_print_as_the_reference_prints_them() {
    let cases = [
        ("sum(a)by(b,c)", "sum by (b, c) (a)"),
        ("sum without(b)(a{x='1'})", "sum without (b) (a{x=\"1\"})"),
        ("a+on(b)group_left(c)d", "a + on (b) group_left (c) d"),
        ("rate(a[300s]offset 1h)", "rate(a[5m] offset 1h)"),
        ("a[5m:]@start()", "a[5m:] @ start()"),
        ("a @ 1.5 offset -1m", "a @ 1.500 offset -1m"),
        ("{\"foo.bar\",a=\"b\"}", "{\"foo.bar\",a=\"b\"}"),
        ("topk(5,a)", "topk(5, a)"),
        ("a[1m+step()]", "a[1m + step()]"),
        ("a >bool 1e3", "a > bool 1000"),
        ("-(a)^2", "-(a) ^ 2"),
    ];
    for (query, expect) in cases {
        let expr = parse(query, &Features::ALL).unwrap();
        assert_eq!(expr.to_string(), expect, "{query}");
        let again = parse(expect, &Features::ALL).unwrap();
        assert_eq!(again.to_string(), expect, "printed text reads back");
    }
}

#[test]
fn long_expressions_are_broken_into_lines() {
    let long = "sum by (job) (rate(http_requests_total{job=\"api-server\", instance=\"one\"}[5m])) / sum by (job) (rate(http_responses_total[5m]))";
    let expr = parse(long, &Features::default()).unwrap();
    assert_eq!(
        format_query(&expr),
        "  sum by (job) (rate(http_requests_total{instance=\"one\",job=\"api-server\"}[5m]))\n/\n  sum by (job) (rate(http_responses_total[5m]))"
    );
}

#[test]
fn nesting_and_operators_have_limits() {
    let deep = format!("{}1{}", "(".repeat(MAX_NESTING + 1), ")".repeat(MAX_NESTING + 1));
    let error = parse(&deep, &Features::default()).unwrap_err();
    assert!(error.message.contains("nested more than"), "{error}");
    let chain = vec!["1"; MAX_OPERATORS + 2].join("+");
    let error = parse(&chain, &Features::default()).unwrap_err();
    assert!(error.message.contains("more than"), "{error}");
}

#[test]
fn the_tree_serialises_as_the_reference_answers() {
    let expr = parse("rate(a{b=\"c\"}[5m]) > bool 1", &Features::default()).unwrap();
    let json = ast_json(&expr);
    assert_eq!(json["type"], "binaryExpr");
    assert_eq!(json["bool"], true);
    assert_eq!(json["lhs"]["func"]["name"], "rate");
    let matrix = &json["lhs"]["args"][0];
    assert_eq!(matrix["range"], 300_000);
    assert_eq!(matrix["matchers"][0]["value"], "c");
    assert_eq!(json["rhs"]["val"], "1");
}

#[test]
fn no_prefix_or_hole_makes_the_parser_panic() {
    let queries = [
        "sum by (job, \"a b\") (rate(foo:bar{a=~\"x.*\", b!='y', \"c\"=`z`}[5m:30s] offset -1h @ end()))",
        "histogram_quantile(0.9, sum without (x) (a)) >= bool on (l) group_left (m) fill_left(-1.5e3) b",
        "a[min_of(step(), 5m) * 2 ^ (1h / range())] smoothed @ 1.5 and -2 atan2 0x1F unless Inf # note",
        "{\"quoted \\u00e9\", __name__!~\"\\\\d+\"} </ 1e-3 >/ .5 or limit_ratio(-0.5, x)",
    ];
    for query in queries {
        for (i, c) in query.char_indices() {
            let _ = parse(&query[..i], &Features::ALL);
            let hole = format!("{}{}", &query[..i], &query[i + c.len_utf8()..]);
            if let Ok(expr) = parse(&hole, &Features::ALL) {
                let printed = expr.to_string();
                let again = parse(&printed, &Features::ALL);
                assert!(again.is_ok(), "{hole} prints as {printed}: {again:?}");
            }
        }
    }
}
