//! Statistics that judge a release: sequential e-process, conditions.
