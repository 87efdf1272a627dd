//! `deploy:` in `lem.yaml`.

use lem_deploy::config::{JudgeKind, read};

fn problems(section: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rollout.yaml"), "strategy: {canary: {}}").unwrap();
    let (node, found) = lem_engine_yaml::parse_one(section, "lem.yaml", lem_engine_yaml::Options::default());
    assert!(found.is_empty(), "{found:?}");
    let found = read(dir.path(), "lem.yaml", &node.unwrap()).1;
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_whole_section() {
    let config = crate::fake::config(
        "strategy: {canary: {}}",
        "
shop:
  artifact: shop-bin
  strategy: rollout.yaml
  environments:
  - {name: staging, listen: '127.0.0.1:8081', target: {process: {command: ./shop}}}
  - name: production
    listen: 127.0.0.1:8080
    from: [{stage: staging, verified: true, soak: 30m}]
    target:
      process: {command: [./bin/shop, --fast], env: {A: b}, secrets: {KEY: shop/db#key}, health: /healthz, metrics: /metrics, replicas: 2, drain: 5s}
  judge: {kind: sequential, alpha: 0.05, tolerance: 1.2, promoteBelow: 3.0, noEvidence: hold, slowerThan: 250ms, interval: 2s}
  migrations: {class: expand}
  rollback: {window: 12h, keep: 2}
",
    );
    let shop = &config.services[0];
    assert_eq!((shop.artifact.as_str(), shop.keep), ("shop-bin", 2));
    let JudgeKind::Sequential { settings, slower_than, interval } = &shop.judge else { panic!("sequential is meant") };
    assert_eq!((settings.alpha, settings.tolerance, settings.promote_below), (0.05, 1.2, 3.0));
    assert_eq!(slower_than.unwrap().as_millis(), 250);
    assert_eq!(interval.unwrap().as_secs(), 2);
    let production = &shop.environments[1];
    assert_eq!(production.from[0].soak.as_secs(), 1800);
    assert_eq!(production.process.command, ["./bin/shop", "--fast"]);
    assert_eq!(production.process.secrets, [("KEY".to_owned(), "shop/db#key".to_owned())]);
    assert_eq!((production.process.replicas, production.process.health.as_str()), (2, "/healthz"));
}

#[test]
fn what_is_wrong_has_a_place() {
    let with = |extra: &str| {
        format!(
            "shop:\n  strategy: rollout.yaml\n  environments:\n  - {{name: p, listen: '127.0.0.1:80', target: {{process: {{command: [x]}}}}}}\n{extra}"
        )
    };
    for (section, expect) in [
        (
            with("  judg: {}"),
            "lem.yaml:5:3: unknown key \"judg\" in the service [unknown-key]\n  help: did you mean \"judge\"?",
        ),
        (
            with("  judge: {kind: magic}"),
            "lem.yaml:5:17: judge magic is unknown; use sequential or conditions [unknown-judge]",
        ),
        (
            with("  judge: {kind: kayenta}"),
            "lem.yaml:5:17: judge kayenta is not supported yet; use sequential or conditions [unknown-judge]",
        ),
        (with("  judge: {alpha: 2}"), "lem.yaml:5:10: alpha must be above 0 and below 1, not 2 [bad-judge]"),
        (with("  judge: {interval: 10ms}"), "lem.yaml:5:21: interval must be between 100ms and 300s [out-of-range]"),
        (
            with("  judge: {noEvidence: promote}"),
            "lem.yaml:5:23: noEvidence must be hold: no evidence is never success and never failure [unsupported-value]",
        ),
        (with("  approvals: {}"), "lem.yaml:5:14: approvals is not supported yet [unsupported-key]"),
        (
            with("  windows: none.yaml"),
            "lem.yaml:5:12: cannot read none.yaml: No such file or directory (os error 2) [unreadable-file]",
        ),
        (
            with("  migrations: {class: maybe}"),
            "lem.yaml:5:23: class must be none, expand, contract or irreversible [out-of-range]",
        ),
        (
            with("").replace("'127.0.0.1:80'", "8080"),
            "lem.yaml:4:23: listen must be an address such as 127.0.0.1:8080, not 8080 [bad-address]",
        ),
        (
            with("").replace("[x]", "[x], replicas: 51"),
            "lem.yaml:4:82: replicas must be between 1 and 50, not 51 [out-of-range]",
        ),
        (
            with("").replace("[x]", "[x], secrets: {KEY: shop}"),
            "lem.yaml:4:87: KEY must name a secret as PATH#KEY, not shop [bad-secret]\n  help: such as shop/database#password",
        ),
        (
            with("").replace("[x]", "[x], secrets: {PORT: a/b#c}"),
            "lem.yaml:4:82: PORT is set by the target [bad-variable]",
        ),
        (
            with("").replace("[x]", "[x], secrets: {1A: a/b#c}"),
            "lem.yaml:4:82: \"1A\" is no name of an environment variable [bad-variable]",
        ),
        (
            with("").replace("[x]", "[x], env: {A: b}, secrets: {A: a/b#c}"),
            "lem.yaml:4:95: A stands in env and in secrets [duplicate]",
        ),
        (
            with("").replace("process: {command: [x]}", "kubernetes: {}"),
            "target kubernetes is not supported yet; use process",
        ),
        (
            with("").replace("name: p,", "name: p, from: [{stage: q}],"),
            "lem.yaml:4:30: q is no environment before this one [unknown-stage]",
        ),
        (with("") + &with("").replace("shop:", "cart:"), "p/shop and p/cart both listen on 127.0.0.1:80"),
        ("shop: {strategy: rollout.yaml}".to_owned(), "the service needs \"environments\""),
    ] {
        let found = problems(&section);
        assert!(found.iter().any(|p| p.contains(expect)), "{section}\nexpected {expect}\nfound {found:#?}");
    }
}
