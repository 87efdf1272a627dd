use lem_engine_gha::glob::Pattern;
use lem_engine_gha::{Context, Expr, Names, Options, Value, eval, expr, read};
use proptest::prelude::*;

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        "\\PC{0,8}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..4)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_parser_never_panics(source in "\\PC{0,60}") {
        let _ = Expr::parse(&source, &Names::all());
    }

    #[test]
    fn words_in_any_order_never_panic(words in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "[", "]", ".", "*", ",", "!", "==", "<", "&&", "||", "'x'", "1", "-.5", "null", "github", "format", "'{0}'",
    ]), 0..20)) {
        let _ = eval(&words.join(" "), &Context::new().with("github", Value::from("x")));
        let _ = eval(&words.concat(), &Context::new().with("github", Value::from("x")));
    }

    #[test]
    fn the_reader_never_panics(text in "[a-z:\\-\\[\\]{}'\"|>&*!$# \n]{0,120}") {
        let _ = read(&text, "x.yml", None, &Options::default());
        let _ = read(&format!("on: push\njobs:\n  a:\n    {text}"), "x.yml", None, &Options::default());
    }

    #[test]
    fn json_makes_the_round_trip(value in json()) {
        let context = Context::new().with("x", Value::from_json(&value));
        let there = eval("toJSON(x)", &context).map(|text| text.to_text());
        prop_assert!(there.as_deref().is_ok_and(|text| serde_json::from_str::<serde_json::Value>(text).ok() == Some(value.clone())));
        let back = eval("fromJSON(toJSON(x))", &context).map(|value| value.to_json());
        prop_assert_eq!(back, Ok(value));
    }

    #[test]
    fn strings_make_the_round_trip(text in "\\PC{0,40}") {
        let source = format!("'{}'", text.replace('\'', "''"));
        prop_assert_eq!(eval(&source, &Context::new()).map(|value| value.to_text()), Ok(text));
    }

    #[test]
    fn numbers_keep_fifteen_decimals(number in -1e9_f64..1e9) {
        let text = expr::number_to_text(number);
        let back = expr::text_to_number(&text);
        prop_assert!((back - number).abs() <= 1e-15_f64.max(number.abs() * f64::EPSILON), "{} {}", number, text);
    }

    #[test]
    fn patterns_never_panic_and_literals_match(pattern in "\\PC{0,20}", name in "[a-z/]{0,20}") {
        if let Ok(parsed) = Pattern::parse(&pattern) {
            let _ = parsed.matches(&name);
        }
        prop_assert!(Pattern::parse(&name).is_ok_and(|parsed| parsed.matches(&name)));
    }
}
