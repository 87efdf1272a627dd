//! Stage 4: metrics, logs, alerts, incidents.
