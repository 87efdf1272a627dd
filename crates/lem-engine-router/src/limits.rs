//! Every limit of the router in one place. Tests reach each of them.

use std::time::Duration;

/// Bytes of one request head (request line and headers); beyond it the answer is 431.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header lines of one request; beyond it the answer is 431.
pub const HEADER_LINES_MAX: usize = 100;
/// Bytes of one request body unless the plan sets its own; beyond it the answer is 413.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Requests under way at once on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 128;
/// Client connections open at once; a further one gets 503 and is closed.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Connections the kernel queues before we accept them.
pub const BACKLOG: u32 = 1024;
/// Time a client has to send a request head, which is also how long an idle connection stays open.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Apps of one router.
pub const APPS_MAX: usize = 256;
/// Versions of one plan.
pub const VERSIONS_MAX: usize = 16;
/// Endpoints of one version.
pub const ENDPOINTS_MAX: usize = 256;
/// Match rules of one plan.
pub const RULES_MAX: usize = 64;
/// Versions no longer in the plan whose counts are kept per app.
pub const RETIRED_VERSIONS_MAX: usize = 64;

/// Idle connections kept per endpoint and worker.
pub const IDLE_PER_ENDPOINT_MAX: usize = 256;
/// Idle upstream connections are closed after this time: less than the 5 s after which Node.js, the
/// quickest of the common servers, closes them itself, so that we seldom write into a closing one.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Time to connect to an endpoint unless the plan sets its own.
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// Time to the response head unless the plan sets its own.
pub const UPSTREAM_TIMEOUT_MS: u64 = 30_000;

/// Tries of one request, the first included.
pub const ATTEMPTS_MAX: u32 = 3;
/// Retries an app may save up.
pub const RETRIES_SAVED_MAX: u32 = 100;
/// Retries an app starts with.
pub const RETRIES_AT_START: u32 = 10;
/// Requests that earn one retry.
pub const REQUESTS_PER_RETRY: u32 = 5;

/// Gateway failures in a row that eject an endpoint.
pub const FAILURES_TO_EJECT: u32 = 5;
/// First ejection; each following one lasts twice as long.
pub const EJECTION_BASE: Duration = Duration::from_secs(1);
/// Longest ejection.
pub const EJECTION_MAX: Duration = Duration::from_secs(30);

/// Mirrored requests in flight unless the plan sets its own; further ones are not mirrored.
pub const MIRROR_IN_FLIGHT_MAX: u32 = 64;
/// Largest request body that is copied for the mirror.
pub const MIRROR_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Buckets that sticky users are spread over.
pub const STICKY_BUCKETS: usize = 10_000;
/// Longest sticky key taken from a request.
pub const STICKY_KEY_BYTES_MAX: usize = 256;
