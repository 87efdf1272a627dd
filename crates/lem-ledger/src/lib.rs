//! Append-only, tamper-evident event log of the loop.
