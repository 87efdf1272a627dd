//! Stage 1, provision: infrastructure files become plans, applied environments, drift and documents.
