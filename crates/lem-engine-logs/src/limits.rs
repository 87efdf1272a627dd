//! Every limit of the store, with its value.

use std::time::Duration;

/// Raw bytes of one block; a longer line is stored in pieces of this size and joined on read.
pub const BLOCK_RAW_BYTES: usize = 2 << 20;
/// A longer line is refused.
pub const LINE_MAX_BYTES: usize = 32 << 20;
/// Encoded bytes of one batch: the largest WAL frame.
pub const BATCH_MAX_BYTES: usize = 64 << 20;
/// Labels of one stream.
pub const LABELS_MAX: usize = 64;
/// Bytes of one label name or value.
pub const LABEL_MAX_BYTES: usize = 16 << 10;
/// Bytes of all structured metadata of one line.
pub const FIELDS_MAX_BYTES: usize = 1 << 20;
/// Fields with a column of their own per block; the rest share one packed column.
pub const FIELD_COLUMNS_MAX: usize = 1000;
/// Lines further ahead of the clock are kept and counted as flagged.
pub const FUTURE_FLAG: Duration = Duration::from_mins(10);
/// Default memory for lines that are not yet in parts.
pub const MEMORY_BUDGET_BYTES: usize = 256 << 20;
/// Default head size that starts a flush.
pub const FLUSH_BYTES: usize = 64 << 20;
/// Default age of the oldest head line that starts a flush.
pub const FLUSH_AGE: Duration = Duration::from_mins(10);
/// Default retention.
pub const RETENTION_AGE: Duration = Duration::from_hours(30 * 24);
/// What a refused sender is told to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Live tails at a time.
pub const TAILS_MAX: usize = 64;
/// Lines a slow tail may lag behind before lines are dropped and counted.
pub const TAIL_LINES_MAX: usize = 4096;
/// Fewest parts of a day that are worth a merge, and the most merged at once.
pub const MERGE_PARTS_MIN: usize = 4;
/// Most parts one merge reads.
pub const MERGE_PARTS_MAX: usize = 16;
/// Parts larger than this are left alone.
pub const MERGE_PART_BYTES_MAX: u64 = 512 << 20;
/// Default decompressed bytes one scan may read.
pub const SCAN_MAX_BYTES: u64 = 16 << 30;
/// Patterns the registry keeps; later templates are counted under `PatternId::OTHER`.
pub const PATTERNS_MAX: usize = 50_000;
/// Bytes of a line the miner looks at.
pub const PATTERN_LINE_BYTES: usize = 2048;
/// Words of a line the miner looks at.
pub const PATTERN_TOKENS_MAX: usize = 128;
/// Clusters compared in one bucket of the miner.
pub const PATTERN_BUCKET_MAX: usize = 256;
/// Releases remembered per pattern.
pub const PATTERN_VERSIONS_MAX: usize = 16;
/// Releases whose first line is remembered.
pub const VERSIONS_MAX: usize = 10_000;
/// Former templates remembered per pattern.
pub const PATTERN_ALIASES_MAX: usize = 8;
