//! Everything has a limit.

/// Bytes of one secret's data, as JSON.
pub const SECRET_BYTES: usize = 1024 * 1024;
/// Bytes of a path.
pub const PATH_BYTES: usize = 1024;
/// Segments of a path.
pub const PATH_SEGMENTS: usize = 64;
/// Versions a key keeps at most, whatever its configuration says.
pub const VERSIONS: u64 = 1_000;
/// Versions a key keeps when nothing says otherwise.
pub const VERSIONS_DEFAULT: u64 = 10;
/// Pairs of custom metadata.
pub const CUSTOM_PAIRS: usize = 64;
/// Bytes of a custom metadata key.
pub const CUSTOM_KEY_BYTES: usize = 128;
/// Bytes of a custom metadata value.
pub const CUSTOM_VALUE_BYTES: usize = 512;
/// Bytes of a policy.
pub const POLICY_BYTES: usize = 64 * 1024;
/// Longest and default life of a token and a lease: 768 hours.
pub const TTL_SECONDS: u64 = 768 * 3600;
/// Tokens, leases and records of one kind.
pub const ENTRIES: usize = 1_000_000;
