//! Values to JSON and back, addresses to text and back.

use lem_engine_hcl::value::json::{decode, encode, mark_paths, sensitive_paths, to_json};
use lem_engine_hcl::{ResourceAddress, Type, Value};
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::int),
        "\\PC{0,8}".prop_map(Value::string),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::tuple),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|m| Value::object(m.into_iter().map(|(k, v)| (k.as_str().into(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_and_types_round_trip(value in any_value()) {
        let ty = value.ty();
        prop_assert_eq!(Type::from_json(&ty.to_json()), Some(ty.clone()));
        prop_assert_eq!(decode(&to_json(&value), &ty).expect("its own type"), value);
    }
}

#[test]
fn a_plan_shows_what_is_unknown_and_sensitive_in_the_shape_of_the_value() {
    let entries = [
        ("id".into(), Value::unknown(Type::String, "x_y.z")),
        ("key".into(), Value::string("k").sensitive()),
        ("list".into(), Value::tuple(vec![Value::int(1), Value::unknown(Type::Number, "x_y.z")])),
    ];
    let value = Value::object(entries.into());
    let encoded = encode(&value);
    assert_eq!(encoded.value.to_string(), r#"{"key":"k","list":[1,null]}"#);
    assert_eq!(encoded.unknown.to_string(), r#"{"id":true,"list":[false,true]}"#);
    assert_eq!(encoded.sensitive.to_string(), r#"{"key":true,"list":[false,false]}"#);
    let paths = sensitive_paths(&value);
    assert_eq!(paths.to_string(), r#"[[{"type":"get_attr","value":"key"}]]"#);
    assert_eq!(mark_paths(value.revealed_deep(), &paths), value);
}

#[test]
fn addresses_are_printed_as_they_are_read() {
    for text in ["a.b", "data.a.b[0]", "module.m[\"x.y]\"].module.n[2].a_b.c-d[\"q\\\"\"]"] {
        assert_eq!(text.parse::<ResourceAddress>().map(|a| a.to_string()), Ok(text.to_owned()));
    }
    for text in ["", "a", "a.b.c", "module.a", "a.b[", "a.b[x]", "a.b[\"x]", "module.m.data.a"] {
        assert!(text.parse::<ResourceAddress>().is_err(), "{text}");
    }
}
