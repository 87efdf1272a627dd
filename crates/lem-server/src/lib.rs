//! HTTP API, web UI, wire types.
