//! The arrows back: attribution, rollback requests, reports, DORA.
