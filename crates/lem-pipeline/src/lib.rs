//! Stage 2: runs the pipelines a team already has.
