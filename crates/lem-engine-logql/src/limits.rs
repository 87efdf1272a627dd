//! Every limit of the language and its evaluator.

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 128 << 10;
/// Nested parentheses and operators.
pub const DEPTH_MAX: usize = 64;
/// Stages of one pipeline.
pub const STAGES_MAX: usize = 256;
/// Evaluation steps of a range query.
pub const STEPS_MAX: i64 = 11_000;
/// Series a query may make at any point.
pub const SERIES_MAX: usize = 20_000;
/// Samples held in memory for one range function.
pub const SAMPLES_MAX: usize = 20_000_000;
/// Lines a log query may ask for.
pub const ENTRIES_MAX: usize = 50_000;
/// Bytes one template may print.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// Labels a parser may extract from one line.
pub const PARSED_LABELS_MAX: usize = 1000;
/// Nested objects the json parser follows.
pub const JSON_DEPTH_MAX: usize = 64;
