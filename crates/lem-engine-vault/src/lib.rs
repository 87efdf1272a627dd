//! A secret store that speaks the Vault HTTP API: barrier, tokens, policies, key-value version 2, leases, audit.
