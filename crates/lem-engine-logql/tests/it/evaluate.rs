//! Queries and their answers.

use crate::world::{S, World, instant, lines};
use lem_engine_logql::*;

fn world() -> World {
    World::new(&[
        (10, "app=a", "level=info msg=\"started up\" took=120ms size=1KB"),
        (20, "app=a", "level=error msg=failed took=2s size=3KB"),
        (30, "app=b", r#"{"level":"error","req":{"path":"/x","n":7},"tags":[1],"app":"inner"}"#),
        (40, "app=b", "not json"),
        (50, "app=a", "10.0.0.1 - GET /index 200"),
    ])
}

#[test]
fn log_queries() {
    let world = world();
    for (query, expect) in [
        (r#"{app="a"} |= "failed""#, &["app=a level=error msg=failed took=2s size=3KB"][..]),
        (r#"{app=~".+"} |= "GET" or "not""#, &["app=b not json", "app=a 10.0.0.1 - GET /index 200"]),
        (r#"{app="a"} != "level""#, &["app=a 10.0.0.1 - GET /index 200"]),
        (r#"{app="a"} |~ "took=\\d+s""#, &["app=a level=error msg=failed took=2s size=3KB"]),
        (r#"{app="a"} |> "<_> - GET <_>""#, &["app=a 10.0.0.1 - GET /index 200"]),
        (r#"{app="a"} |= ip("10.0.0.0/24")"#, &["app=a 10.0.0.1 - GET /index 200"]),
        (
            r#"{app="b"} | json | __error__="" | line_format "{{.req_path}} {{.level | ToUpper}}" | keep app"#,
            &["app=b /x ERROR"],
        ),
        (
            r#"{app="b"} | json p="req.path", t="tags[0]" | __error__="" "#,
            &[r#"app=b,p=/x,t=1 {"level":"error","req":{"path":"/x","n":7},"tags":[1],"app":"inner"}"#],
        ),
        (
            r#"{app="b"} | json | app_extracted="inner" | keep app_extracted | line_format "x""#,
            &["app_extracted=inner x"],
        ),
        (r#"{app="b"} | json | __error__!="" | drop __error_details__"#, &["__error__=JSONParserErr,app=b not json"]),
        (r#"{app="a"} | logfmt | took > 1s | line_format "{{.msg}}" | keep app"#, &["app=a failed"]),
        (r#"{app="a"} | logfmt | size <= 1KB | line_format "{{.msg}}" | keep app"#, &["app=a started up"]),
        (
            r#"{app="a"} | logfmt | level="info" or level="error" | line_format "x" | keep level"#,
            &["level=info x", "level=error x"],
        ),
        (
            r#"{app="a"} | pattern "<ip> - <method> <_> <status>" | status=200 | line_format "{{.method}}" | keep ip"#,
            &["ip=10.0.0.1 GET"],
        ),
        (
            r#"{app="a"} | regexp "(?P<code>\\d+)$" | code>=200 | line_format "{{ add .code 1 }}" | drop code"#,
            &["app=a 201"],
        ),
        (
            r#"{app="a"} |= "failed" | logfmt | label_format lvl=level, both="{{.lvl}}-{{.msg}}" | keep lvl, level, both | line_format "x""#,
            &["both=error-failed,lvl=error x"],
        ),
        (
            r#"{app="a"} |= "failed" | line_format "{{ if contains \"error\" __line__ }}bad{{ else }}good{{ end }} {{ printf \"%05.1f|%-3s|\" 2.25 \"a\" }}""#,
            &["app=a bad 002.2|a  |"],
        ),
        (
            r#"{app="a"} |= "failed" | line_format "{{ regexReplaceAll \"(\\\\w+)=(\\\\w+)\" __line__ \"${2}:${1}\" | trunc 11 }}""#,
            &["app=a error:level"],
        ),
        ("failed", &["app=a level=error msg=failed took=2s size=3KB"]),
        ("FAILED error", &["app=a level=error msg=failed took=2s size=3KB"]),
        ("fail", &[]),
        (r#""started up" | logfmt | keep app"#, &["app=a level=info msg=\"started up\" took=120ms size=1KB"]),
    ] {
        assert_eq!(lines(&world, query), expect, "{query}");
    }
}

#[test]
fn label_filters_group_as_the_grammar_does() {
    let world = World::new(&[(1, "s=1", "x=1"), (2, "s=2", "y=1 z=1"), (3, "s=3", "z=1"), (4, "s=4", "x=1 z=1")]);
    let streams = |query: &str| {
        let found = lines(&world, &format!("{{s=~\".+\"}} | logfmt | {query} | keep s | line_format \"\""));
        found.iter().map(|l| l.trim_start_matches("s=").trim().to_owned()).collect::<String>()
    };
    for (query, expect) in [
        (r#"x="1" or y="1" and z="1""#, "124"),
        (r#"x="1" or y="1", z="1""#, "124"),
        (r#"(x="1" or y="1") , z="1""#, "24"),
        (r#"z="1", x="1" or y="1""#, "24"),
        (r#"z="1" x="1" or y="1""#, "24"),
        (r#"z="1" and x="1" or y="1""#, "24"),
        (r#"x="1" and z="1" or z="1""#, "234"),
    ] {
        assert_eq!(streams(query), expect, "{query}");
    }
}

#[test]
fn metric_queries() {
    let world = world();
    let ok = |query: &str, at: i64, expect: &[&str]| {
        assert_eq!(instant(&world, query, at), Ok(expect.iter().map(|s| (*s).to_owned()).collect()), "{query}");
    };
    ok(r#"count_over_time({app="a"}[40s])"#, 50, &["{app=a} 2"]);
    ok(r#"count_over_time({app="a"}[41s])"#, 50, &["{app=a} 3"]);
    ok(r#"count_over_time({app="a"}[10s])"#, 19, &["{app=a} 1"]);
    ok(r#"rate({app=~"a|b"}[100s])"#, 60, &["{app=a} 0.03", "{app=b} 0.02"]);
    ok(r#"bytes_over_time({app="b"} |= "not" [1m])"#, 60, &["{app=b} 8"]);
    ok(r#"sum(count_over_time({app=~".+"}[1m]))"#, 60, &["{} 5"]);
    ok(r#"sum by (app) (count_over_time({app=~".+"} |= "level" [1m]))"#, 60, &["{app=a} 2", "{app=b} 1"]);
    ok(r#"sum(sum_over_time({app="a"} | logfmt | unwrap duration(took) [1m]))"#, 60, &["{} 2.12"]);
    ok(r#"max_over_time({app="a"} | logfmt | unwrap duration(took) [1m]) by (app)"#, 60, &["{app=a} 2"]);
    ok(r#"avg_over_time({app="a"} | logfmt | unwrap bytes(size) [1m]) by (app)"#, 60, &["{app=a} 2000"]);
    ok(r#"quantile_over_time(0.5, {app="a"} | logfmt | unwrap bytes(size) [1m]) by (app)"#, 60, &["{app=a} 2000"]);
    ok(r#"stddev_over_time({app="a"} | logfmt | unwrap bytes(size) [1m]) by (app)"#, 60, &["{app=a} 1000"]);
    ok(r#"first_over_time({app="a"} | logfmt | unwrap bytes(size) [1m]) by (app)"#, 60, &["{app=a} 1000"]);
    ok(r#"last_over_time({app="a"} | logfmt | unwrap bytes(size) [1m]) by (app)"#, 60, &["{app=a} 3000"]);
    ok(r#"absent_over_time({app="c", env="x"}[1m])"#, 60, &["{app=c,env=x} 1"]);
    ok(r#"absent_over_time({app="a"}[1m])"#, 60, &[]);
    ok(r#"count_over_time({app="a"}[20s] offset 40s)"#, 60, &["{app=a} 2"]);
    ok(r#"topk(1, count_over_time({app=~".+"}[1m]))"#, 60, &["{app=a} 3"]);
    ok(r#"sort_desc(count_over_time({app=~".+"}[1m]))"#, 60, &["{app=a} 3", "{app=b} 2"]);
    ok(r#"sort(count_over_time({app=~".+"}[1m]))"#, 60, &["{app=b} 2", "{app=a} 3"]);
    ok("vector(1)+vector(1)", 60, &["{} 2"]);
    ok("2 ^ 3 ^ 2 - 10 % 4 * 3", 60, &["scalar 506"]);
    ok(r#"count_over_time({app=~".+"}[1m]) > 2"#, 60, &["{app=a} 3"]);
    ok(r#"count_over_time({app=~".+"}[1m]) > bool 2"#, 60, &["{app=a} 1", "{app=b} 0"]);
    ok(
        r#"count_over_time({app="a"}[1m]) / on() group_left() sum(count_over_time({app=~".+"}[1m]))"#,
        60,
        &["{app=a} 0.6"],
    );
    ok(r#"count_over_time({app=~".+"}[1m]) and count_over_time({app="b"}[1m])"#, 60, &["{app=b} 2"]);
    ok(r#"count_over_time({app=~".+"}[1m]) unless count_over_time({app="b"}[1m])"#, 60, &["{app=a} 3"]);
    ok(r#"count_over_time({app="c"}[1m]) or vector(0)"#, 60, &["{} 0"]);
    ok(r#"label_replace(count_over_time({app="a"}[1m]), "x", "$1-y", "app", "(.*)")"#, 60, &["{app=a,x=a-y} 3"]);
}

#[test]
fn errors_of_evaluation() {
    let world = world();
    for (query, expect) in [
        (r#"{app="a"}"#, "log queries are not supported as an instant query"),
        (r#"count_over_time({app="b"} | json [1m])"#, "pipeline error: 'JSONParserErr'"),
        (r#"sum_over_time({app="a"} | logfmt | unwrap msg [1m])"#, "pipeline error: 'SampleExtractionErr'"),
        (r#"count_over_time({app="a"} | logfmt | msg > 5 [1m])"#, "pipeline error: 'LabelFilterErr'"),
        (
            r#"count_over_time({app=~".+"}[1m]) / on() count_over_time({app="a"}[1m])"#,
            "many-to-one matching must be explicit",
        ),
        (
            r#"count_over_time({app="a"}[1m]) / on() group_left() count_over_time({app=~".+"}[1m])"#,
            "found duplicate series",
        ),
    ] {
        let error = instant(&world, query, 60).expect_err(query);
        assert!(error.contains(expect), "{query}\n  {error}");
    }
}

#[test]
fn range_queries_and_their_limits() {
    let world = world();
    let expr = parse(r#"count_over_time({app="a"}[20s])"#).unwrap();
    let range = |params| Evaluator::new(&world).range(&expr, &params);
    let Value::Matrix(series) = range(RangeParams::new(0, 60 * S, 10 * S)).unwrap().value else { panic!("no matrix") };
    let points: Vec<_> = series[0].points.iter().map(|(t, v)| (t / S, *v)).collect();
    assert_eq!(points, [(10, 1.0), (20, 2.0), (30, 1.0), (50, 1.0), (60, 1.0)]);
    assert!(matches!(range(RangeParams::new(0, limits::STEPS_MAX * S, S)), Err(EvalError::Limit { .. })));
    assert!(matches!(range(RangeParams::new(0, S, 0)), Err(EvalError::BadRange(_))));
    assert!(matches!(range(RangeParams::new(S, 0, S)), Err(EvalError::BadRange(_))));
    let log = parse(r#"{app="a"}"#).unwrap();
    let many = RangeParams { limit: limits::ENTRIES_MAX + 1, ..RangeParams::new(0, 60 * S, S) };
    assert!(matches!(Evaluator::new(&world).range(&log, &many), Err(EvalError::Limit { .. })));
    let two = RangeParams { limit: 2, ..RangeParams::new(0, 60 * S, S) };
    let Value::Streams(streams) = Evaluator::new(&world).range(&log, &two).unwrap().value else { panic!("no streams") };
    assert_eq!(streams[0].entries.iter().map(|e| e.ts_ns / S).collect::<Vec<_>>(), [50, 20], "newest first");
}
