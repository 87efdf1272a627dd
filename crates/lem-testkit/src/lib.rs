//! Fakes, seeded clock and ids, conformance suites, the whole loop in memory.
