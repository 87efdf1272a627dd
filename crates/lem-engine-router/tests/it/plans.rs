use lem_engine_router::{Condition, MatchRule, Mirror, Pattern, PlanError, RoutePlan, VersionRoute, limits};

use crate::support::*;

#[tokio::test]
async fn a_refused_plan_changes_nothing() {
    let origin = Origin::start("v1").await;
    let router = router();
    let good = plan(&[("v1", origin.addr, 1)]);
    router.apply(APP, good.clone()).unwrap();
    let (v1, none) = (("v1", origin.addr, 1), Vec::new());
    let change = |change: &dyn Fn(&mut RoutePlan)| {
        let mut plan = plan(&[v1]);
        change(&mut plan);
        plan
    };
    let rule = |version: &str, when| MatchRule { version: version.to_owned(), when };
    let header = |name: &str| Condition::Header { name: name.to_owned(), value: Pattern::Present };
    let many: Vec<_> =
        (0..=limits::VERSIONS_MAX).map(|n| VersionRoute::new(format!("v{n}"), vec![origin.addr], 1)).collect();
    let table = [
        (RoutePlan::new("r", none), "the plan names no version"),
        (plan(&[("v1", origin.addr, 0)]), "the weights of all versions are zero"),
        (RoutePlan::new("r", vec![VersionRoute::new("v1", vec![], 1)]), "version v1 has no endpoint"),
        (plan(&[v1, v1]), "version v1 is listed twice"),
        (
            change(&|p| p.rules = vec![rule("v9", vec![header("a")])]),
            "a rule names version v9, which the plan does not list",
        ),
        (change(&|p| p.mirror = Some(Mirror::to("v9"))), "the mirror names version v9, which the plan does not list"),
        (change(&|p| p.rules = vec![rule("v1", vec![])]), "a rule for version v1 has no condition"),
        (
            change(&|p| p.rules = vec![rule("v1", vec![header("a b")])]),
            "header name \"a b\" cannot be used in an HTTP message",
        ),
        (change(&|p| p.path_prefix = "api".to_owned()), "path prefix \"api\" does not start with a slash"),
        (change(&|p| p.upstream_timeout_ms = 0), "upstream timeout must be more than zero"),
        (plan(&[("v\n1", origin.addr, 1)]), "version id \"v\\n1\" cannot be used in an HTTP message"),
        (RoutePlan::new("r", many), "versions: 17 given, at most 16 allowed"),
    ];
    for (plan, message) in table {
        assert_eq!(router.apply(APP, plan).unwrap_err().to_string(), message);
        assert_eq!(Talk::to(&router).await.get("/").await.body, "v1");
    }
    let (generation, served) = router.plan(APP).unwrap();
    assert_eq!((generation.0, served), (1, good.clone()));
    assert_eq!(router.apply("other", good).unwrap_err(), PlanError::SameRoute(APP.to_owned()));
}

#[tokio::test]
async fn limits_of_lists_and_apps_are_enforced() {
    let origin = Origin::start("v1").await;
    let router = router();
    let endpoints = vec![origin.addr; limits::ENDPOINTS_MAX + 1];
    let refused = router.apply(APP, RoutePlan::new("r", vec![VersionRoute::new("v1", endpoints, 1)]));
    assert!(matches!(refused, Err(PlanError::TooMany { what: "endpoints", .. })));
    let mut rules = plan(&[("v1", origin.addr, 1)]);
    let when = vec![Condition::Cookie { name: "c".to_owned(), value: Pattern::Present }];
    rules.rules = vec![MatchRule { version: "v1".to_owned(), when }; limits::RULES_MAX + 1];
    assert!(matches!(router.apply(APP, rules), Err(PlanError::TooMany { what: "rules", .. })));
    for n in 0..=limits::APPS_MAX {
        let mut plan = plan(&[("v1", origin.addr, 1)]);
        plan.path_prefix = format!("/{n}");
        let applied = router.apply(&format!("app-{n}"), plan);
        assert_eq!(applied.is_ok(), n < limits::APPS_MAX, "{n}");
    }
}

#[tokio::test]
async fn a_plan_survives_json_and_has_defaults() {
    let json = r#"{"release":"r","versions":[{"id":"v1","endpoints":["127.0.0.1:1"],"weight":1}]}"#;
    let parsed: RoutePlan = serde_json::from_str(json).unwrap();
    assert_eq!(parsed, RoutePlan::new("r", vec![VersionRoute::new("v1", vec!["127.0.0.1:1".parse().unwrap()], 1)]));
    let again: RoutePlan = serde_json::from_str(&serde_json::to_string(&parsed).unwrap()).unwrap();
    assert_eq!(again, parsed);
}

#[tokio::test]
async fn retired_versions_are_remembered_up_to_a_limit() {
    let origin = Origin::start("any").await;
    let router = router();
    for n in 0..limits::RETIRED_VERSIONS_MAX + 10 {
        router.apply(APP, plan(&[(&format!("v{n}"), origin.addr, 1)])).unwrap();
    }
    let versions: Vec<_> = router.counts(APP).unwrap().into_iter().map(|c| c.version).collect();
    assert_eq!((versions.len(), versions[0].as_str()), (limits::RETIRED_VERSIONS_MAX + 1, "v9"));
}
