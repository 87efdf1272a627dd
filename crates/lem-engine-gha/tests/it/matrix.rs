#![expect(clippy::unwrap_used, reason = "tests")]

use lem_engine_gha::Value;
use lem_engine_gha::matrix::{MAX_JOBS, MAX_NAME_CHARS, expand};
use serde_json::json;

fn check(matrix: serde_json::Value, expect: &[&str]) {
    let shown: Vec<String> = match expand(&Value::from_json(&matrix)) {
        Ok(jobs) => jobs.iter().map(|job| format!("{} {}", job.name("t"), job.values.to_json())).collect(),
        Err(error) => vec![error.to_string()],
    };
    assert_eq!(shown, expect, "{matrix}");
}

#[test]
fn the_product_in_order() {
    check(
        json!({"os": ["linux", "mac"], "v": [1, 2]}),
        &[
            r#"t (linux, 1) {"os":"linux","v":1}"#,
            r#"t (linux, 2) {"os":"linux","v":2}"#,
            r#"t (mac, 1) {"os":"mac","v":1}"#,
            r#"t (mac, 2) {"os":"mac","v":2}"#,
        ],
    );
    check(json!({"v": [{"a": 1, "b": [true]}, null]}), &[r#"t (1, true) {"v":{"a":1,"b":[true]}}"#, r#"t {"v":null}"#]);
}

#[test]
fn exclude_by_part() {
    check(
        json!({"os": ["linux", "mac"], "v": [1, 2], "exclude": [{"os": "mac"}, {"os": "LINUX", "v": "2"}]}),
        &[r#"t (linux, 1) {"os":"linux","v":1}"#],
    );
    check(json!({"v": [{"a": 1, "b": 2}, {"a": 3}], "exclude": [{"v": {"a": 1}}]}), &[r#"t (3) {"v":{"a":3}}"#]);
}

#[test]
fn include_joins_or_stands_alone() {
    // The example of the service's documentation.
    check(
        json!({
            "fruit": ["apple", "pear"],
            "animal": ["cat", "dog"],
            "include": [
                {"color": "green"},
                {"color": "pink", "animal": "cat"},
                {"fruit": "apple", "shape": "circle"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ],
        }),
        &[
            r#"t (apple, cat) {"fruit":"apple","animal":"cat","color":"pink","shape":"circle"}"#,
            r#"t (apple, dog) {"fruit":"apple","animal":"dog","color":"green","shape":"circle"}"#,
            r#"t (pear, cat) {"fruit":"pear","animal":"cat","color":"pink"}"#,
            r#"t (pear, dog) {"fruit":"pear","animal":"dog","color":"green"}"#,
            r#"t (banana) {"fruit":"banana"}"#,
            r#"t (banana, cat) {"fruit":"banana","animal":"cat"}"#,
        ],
    );
    check(
        json!({"include": [{"site": "production"}, {"site": "staging"}]}),
        &[r#"t (production) {"site":"production"}"#, r#"t (staging) {"site":"staging"}"#],
    );
}

#[test]
fn what_is_wrong_is_said() {
    check(json!("x"), &["matrix must be a mapping, not string"]);
    check(json!({}), &["Matrix must define at least one vector"]);
    check(json!({"v": []}), &["Matrix vector 'v' does not contain any values"]);
    check(json!({"v": 1}), &["matrix vector 'v' must be a list, not number"]);
    check(json!({"v": [1], "include": [{}]}), &["entries of matrix 'include' must be mappings with at least one key"]);
    check(
        json!({"v": [1], "exclude": [{"w": 1}]}),
        &["Matrix exclude key 'w' does not match any key within the matrix"],
    );
}

#[test]
fn limits_are_reached() {
    let numbers = |count: usize| (0..count).collect::<Vec<_>>();
    let of = |matrix: serde_json::Value| expand(&Value::from_json(&matrix));
    assert_eq!(of(json!({"v": numbers(MAX_JOBS)})).unwrap().len(), MAX_JOBS);
    let error = of(json!({"v": numbers(MAX_JOBS + 1)})).unwrap_err();
    assert_eq!(error.to_string(), "the matrix gives 257 jobs; at most 256 are allowed");
    let product = numbers(1000);
    assert!(of(json!({"a": product, "b": product, "c": product})).is_err());
    let long = of(json!({"v": ["x".repeat(200)]})).unwrap();
    assert_eq!(long[0].name("t").chars().count(), MAX_NAME_CHARS);
    assert!(long[0].name("t").ends_with("..."));
}
