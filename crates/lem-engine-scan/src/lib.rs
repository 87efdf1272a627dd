//! Scanners as a library: rules over a resource graph, pipeline files, lockfiles and text become findings.
