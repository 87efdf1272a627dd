//! Limits of queries: points, samples, time.

use futures::executor::block_on;
use lem_engine_promql::{
    Engine, InstantParams, Interrupt, Labels, MAX_NESTING, MAX_OPERATORS, MemoryQuerier, Options, QueryError,
    QueryValue, RangeParams, Sample,
};

fn store(samples: i64) -> MemoryQuerier {
    let mut store = MemoryQuerier::new();
    let labels = Labels::from_pairs([("__name__", "m")]);
    for i in 0..samples {
        store.push(&labels, Sample::float(i * 1000, i as f64));
    }
    store
}

#[test]
fn too_many_points_are_refused() {
    let params = RangeParams { end_ms: 11_001_000, step_ms: 1000, ..RangeParams::default() };
    let error = block_on(Engine::default().range(&store(1), "m", params)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
    );
}

#[test]
fn too_many_samples_are_refused() {
    let engine = Engine::new(Options { max_samples: 10, ..Options::default() });
    let params = InstantParams { time_ms: 60_000, ..InstantParams::default() };
    let error = block_on(engine.instant(&store(60), "sum_over_time(m[1m])", params)).unwrap_err();
    assert_eq!(error.to_string(), "query processing would load too many samples into memory in query execution");
}

#[test]
fn a_stopped_query_says_why() {
    let cases: [(fn(&Interrupt), QueryError); 2] = [
        (Interrupt::cancel, QueryError::Canceled("expression evaluation")),
        (Interrupt::time_out, QueryError::TimedOut("expression evaluation")),
    ];
    for (stop, expect) in cases {
        let interrupt = Interrupt::default();
        stop(&interrupt);
        let params = InstantParams { interrupt, ..InstantParams::default() };
        let error = block_on(Engine::default().instant(&store(1), "m", params)).unwrap_err();
        assert_eq!(error, expect);
    }
}

#[test]
fn a_range_vector_is_a_matrix() {
    let params = InstantParams { time_ms: 3000, ..InstantParams::default() };
    let result = block_on(Engine::default().instant(&store(10), "m[2s]", params)).unwrap();
    let QueryValue::Matrix(matrix) = result.value else {
        panic!("not a matrix");
    };
    let times: Vec<i64> = matrix[0].samples.iter().map(|s| s.t_ms).collect();
    assert_eq!(times, [2000, 3000]);
}

#[test]
fn subqueries_with_too_many_steps_are_refused() {
    let query = "sum_over_time(vector(1)[100y:1ms])";
    let result = block_on(Engine::default().instant(&store(1), query, InstantParams::default()));
    assert_eq!(result.unwrap_err(), QueryError::TooManySamples("query execution"));
}

#[test]
fn the_most_operators_can_be_evaluated() {
    let query = vec!["m"; MAX_OPERATORS + 1].join(" + ");
    let result = block_on(Engine::default().instant(&store(1), &query, InstantParams::default()));
    let QueryValue::Vector(vector) = result.unwrap().value else {
        panic!("not a vector");
    };
    assert_eq!(vector.len(), 1);
}

#[test]
fn times_out_of_bounds_are_refused() {
    let params = InstantParams { time_ms: i64::MIN, ..InstantParams::default() };
    let error = block_on(Engine::default().instant(&store(1), "m", params)).unwrap_err();
    assert!(matches!(error, QueryError::BadParameters(_)), "{error}");
}

#[test]
fn the_deepest_nesting_can_be_evaluated() {
    let levels = MAX_NESTING - 1;
    for (open, close) in [("abs(", ")"), ("(m + ", ")"), ("sum(m * ", ")"), ("-(", ")")] {
        let query = format!("{}m{}", open.repeat(levels / 2), close.repeat(levels / 2));
        let params = RangeParams { end_ms: 1000, step_ms: 1000, ..RangeParams::default() };
        let result = block_on(Engine::default().range(&store(2), &query, params));
        assert!(result.is_ok(), "{query}: {result:?}");
    }
}
