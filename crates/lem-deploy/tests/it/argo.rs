//! Argo Rollouts strategies: what reads, and what is refused where.

use lem_deploy::import::argo::{STEPS_MAX, read};
use lem_deploy::model::{Method, Slack};

fn canary(body: &str) -> String {
    format!("strategy:\n  canary:\n{body}")
}

fn problems(text: &str) -> Vec<String> {
    read("r.yaml", text, &[]).1.iter().map(|d| format!("{}:{} {}", d.place.line, d.place.column, d.message)).collect()
}

#[test]
fn a_whole_manifest() {
    let text = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 5
  minReadySeconds: 5
  progressDeadlineSeconds: 120
  revisionHistoryLimit: 4
  selector: {matchLabels: {app: shop}}
  template: {spec: {containers: []}}
  strategy:
    canary:
      maxSurge: 20%
      maxUnavailable: 0
      trafficRouting:
        managedRoutes: [{name: testers}]
      scaleDownDelaySeconds: 10
      abortScaleDownDelaySeconds: 0
      analysis: {startingStep: 1, templates: [{templateName: ok}], args: [{name: who, value: me}]}
      steps:
      - setWeight: 5
      - pause: {duration: 1h30m}
      - pause: {}
      - pause: {duration: 10}
      - setHeaderRoute: {name: testers, match: [{headerName: a, headerValue: {prefix: b}}]}
      - setCanaryScale: {weight: 25}
      - analysis: {templates: [{templateName: ok}], args: [{name: who, valueFrom: {podTemplateHashValue: Latest}}]}
---
kind: AnalysisTemplate
metadata: {name: ok}
spec:
  args: [{name: who}]
  metrics:
  - {name: m, interval: 10s, count: 3, failureLimit: 1, successCondition: 'result[0] < 1', provider: {prometheus: {address: 'http://x', query: 'up{v=\"{{args.who}}\"}'}}}
";
    let (strategy, found) = read("r.yaml", text, &[]);
    assert!(found.is_empty(), "{found:?}");
    let strategy = strategy.unwrap();
    assert_eq!((strategy.method, strategy.replicas, strategy.history), (Method::Canary, Some(5), 4));
    assert_eq!((strategy.progress_deadline_ms, strategy.min_ready_ms), (120_000, 5_000));
    assert_eq!((strategy.scale_down_delay_ms, strategy.abort_scale_down_delay_ms), (10_000, None));
    assert_eq!((strategy.max_surge, strategy.max_unavailable), (Slack::Percent(20), Slack::Count(0)));
    assert_eq!(
        strategy.sentences(),
        [
            "send 5 % of the traffic to the new version",
            "wait 1h30m",
            "wait for a person to promote",
            "wait 10s",
            "send requests of header route testers to the new version",
            "run 25 % of the instances in the new version",
            "analyse ok"
        ]
    );
}

#[test]
fn defaults() {
    let strategy = read("r.yaml", "strategy: {canary: {}}", &[]).0.unwrap();
    assert_eq!((strategy.progress_deadline_ms, strategy.min_ready_ms, strategy.history), (600_000, 0, 10));
    assert_eq!((strategy.scale_down_delay_ms, strategy.abort_scale_down_delay_ms), (30_000, Some(30_000)));
    assert_eq!((strategy.max_surge, strategy.max_unavailable), (Slack::Percent(25), Slack::Percent(25)));
    let waits = |text: &str| read("r.yaml", text, &[]).0.unwrap().sentences()[1].clone();
    assert_eq!(waits("strategy: {blueGreen: {}}"), "switch all traffic to the new version");
    assert_eq!(waits("strategy: {blueGreen: {autoPromotionEnabled: false}}"), "wait for a person to promote");
    assert_eq!(waits("strategy: {blueGreen: {autoPromotionSeconds: 20}}"), "wait 20s");
}

#[test]
fn the_validation_list() {
    for (text, expect) in [
        ("strategy: {}", "1:11 strategy needs exactly one of canary and blueGreen"),
        ("strategy: {canary: {}, blueGreen: {}}", "1:11 strategy needs exactly one of canary and blueGreen"),
        (
            "strategy: {blueGreen: {activeService: a, previewService: a}}",
            "1:58 previewService must not be activeService",
        ),
        ("strategy: {canary: {stableService: a, canaryService: a}}", "1:54 canaryService must not be stableService"),
        (
            "strategy: {canary: {pingPong: {pingService: a, pongService: a}}}",
            "1:61 pongService must not be pingService",
        ),
        (
            "strategy: {canary: {maxSurge: 0, maxUnavailable: 0%}}",
            "1:20 maxSurge and maxUnavailable must not both be 0",
        ),
        (&canary("    steps: [{setWeight: 101}]"), "3:25 setWeight must be between 0 and 100, not 101"),
        (&canary("    steps: [{setWeight: -1}]"), "3:25 setWeight must be between 0 and 100, not -1"),
        (
            &canary("    steps: [{pause: {duration: -5}}]"),
            "3:32 duration must be seconds or a duration such as 90s, 5m or 1h30m",
        ),
        (
            &canary("    steps: [{pause: {duration: 1d}}]"),
            "3:32 duration must be seconds or a duration such as 90s, 5m or 1h30m",
        ),
        (
            "progressDeadlineSeconds: 5\nminReadySeconds: 5\nstrategy: {canary: {}}",
            "1:26 progressDeadlineSeconds must be greater than minReadySeconds",
        ),
        (&canary("    scaleDownDelaySeconds: 5"), "3:28 scaleDownDelaySeconds needs trafficRouting"),
        (&canary("    dynamicStableScale: true"), "3:25 dynamicStableScale needs trafficRouting"),
        (
            &canary("    trafficRouting: {}\n    dynamicStableScale: true\n    scaleDownDelaySeconds: 5"),
            "4:25 dynamicStableScale and scaleDownDelaySeconds exclude each other",
        ),
        (&canary("    steps: [{setCanaryScale: {replicas: 1}}]"), "3:14 setCanaryScale needs trafficRouting"),
        (&canary("    steps: [{setHeaderRoute: {name: a}}]"), "3:14 setHeaderRoute needs trafficRouting"),
        (&canary("    steps: [{setMirrorRoute: {name: a}}]"), "3:14 setMirrorRoute needs trafficRouting"),
        (
            &canary("    trafficRouting: {}\n    steps: [{setHeaderRoute: {name: a}}]"),
            "4:37 header route a is not in managedRoutes",
        ),
        (
            &canary(
                "    trafficRouting: {managedRoutes: [{name: a}]}\n    steps: [{setHeaderRoute: {name: a, match: [{headerName: h, headerValue: {exact: x, prefix: y}}]}}]",
            ),
            "4:77 headerValue needs exactly one of exact, prefix and regex",
        ),
        (
            &canary("    trafficRouting: {}\n    steps: [{setCanaryScale: {replicas: 1, weight: 5}}]"),
            "4:30 setCanaryScale needs exactly one of replicas, weight and matchTrafficWeight: true",
        ),
        (&canary("    steps: [{setWeight: 5, pause: {}}]"), "3:13 a step has one kind, not 2: setWeight, pause"),
        (&canary("    steps: [{}]"), "3:13 a step needs a kind, such as setWeight or pause"),
        (
            "revisionHistoryLimit: 2\nstrategy: {canary: {trafficRouting: {}, scaleDownDelayRevisionLimit: 3}}",
            "2:70 scaleDownDelayRevisionLimit 3 is above revisionHistoryLimit 2",
        ),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|p| p == expect), "{text}\nexpected {expect}\nfound {found:#?}");
        assert!(read("r.yaml", text, &[]).0.is_none(), "{text}: the rollout does not start");
    }
}

#[test]
fn what_is_unknown_or_unsupported_is_named_at_its_place() {
    for (text, expect) in [
        (&canary("    stpes: []") as &str, "3:5 unknown key \"stpes\" in canary"),
        (&canary("    steps: [{setWieght: 5}]"), "3:14 unknown step kind \"setWieght\""),
        (&canary("    steps: [{experiment: {}}]"), "3:14 step experiment is not supported"),
        (&canary("    steps: [{plugin: {}}]"), "3:14 step plugin is not supported"),
        (&canary("    steps: [{pause: {durration: 5}}]"), "3:22 unknown key \"durration\" in pause"),
        (
            &canary("    steps: [{analysis: {templates: [{templateName: none}]}}]"),
            "3:52 no AnalysisTemplate is called none",
        ),
        (
            "strategy: {canary: {trafficRouting: {maxTrafficWeight: 1000}}}",
            "1:56 maxTrafficWeight other than 100 is not supported",
        ),
        ("strategy: {type: Sometimes}", "1:18 type must be Recreate or RollingUpdate"),
        ("kind: Service\n", "0:0 no kind: Rollout and no strategy in this file"),
        ("strategy: {canary: {}}\n---\nstrategy: {canary: {}}", "3:1 a second strategy in the same file"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|p| p == expect), "{text}\nexpected {expect}\nfound {found:#?}");
    }
    let many = canary(&format!("    steps: [{}]", vec!["{setWeight: 5}"; STEPS_MAX + 1].join(", ")));
    assert!(problems(&many)[0].contains("at most 200 steps"));
    // A router of Kubernetes is no error: the embedded one takes its place, and that is said.
    let (strategy, found) = read("r.yaml", "strategy: {canary: {trafficRouting: {nginx: {stableIngress: x}}}}", &[]);
    assert!(strategy.is_some() && found[0].message.contains("nginx is not used"));
}

#[test]
fn analysis_templates() {
    let template = |metric: &str| {
        format!(
            "strategy: {{canary: {{}}}}\n---\nkind: AnalysisTemplate\nmetadata: {{name: t}}\nspec:\n  metrics:\n  - {{{metric}}}\n"
        )
    };
    let prom = "provider: {prometheus: {query: up}}";
    for (metric, expect) in [
        (format!("name: a, successCondition: 'result[0] >', {prom}"), "7:33 successCondition does not compile"),
        (format!("name: a, successCondition: 'rseult > 1', {prom}"), "unknown name rseult at column 1"),
        (format!("name: a, count: 2, {prom}"), "7:5 metric a: interval must be given when count is above 1"),
        (
            format!("name: a, count: 2, interval: 1s, failureLimit: 5, {prom}"),
            "count 2 must be at least failureLimit 5",
        ),
        (
            "name: a, provider: {datadog: {query: up}}".to_owned(),
            "7:26 provider datadog is not supported; use prometheus",
        ),
        ("name: a, provider: {oracle: {}}".to_owned(), "7:26 unknown provider \"oracle\""),
        (format!("name: a, {prom}, intervall: 1s"), "unknown key \"intervall\" in a metric"),
        ("name: a".to_owned(), "a metric needs \"provider\""),
    ] {
        let found = problems(&template(&metric));
        assert!(found.iter().any(|p| p.contains(expect)), "{metric}\nexpected {expect}\nfound {found:#?}");
    }
    let use_it = "strategy: {canary: {steps: [{analysis: {templates: [{templateName: t}]}}]}}";
    let other = |query: &str| {
        format!(
            "kind: AnalysisTemplate\nmetadata: {{name: t}}\nspec:\n  args: [{{name: a}}]\n  metrics:\n  - {{name: m, provider: {{prometheus: {{query: '{query}'}}}}}}\n"
        )
    };
    let with = |query: &str| {
        let (_, found) = read("r.yaml", use_it, &[("t.yaml".to_owned(), other(query))]);
        found.into_iter().map(|d| d.message).collect::<Vec<_>>()
    };
    assert_eq!(with("up"), ["argument a has no value"]);
    assert!(with("{{args.b}}").iter().any(|m| m == "metric m: {{args.b}} has no value"));
}
