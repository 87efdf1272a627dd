//! GitHub Actions: expression language and workflow reader.
