//! Strategy files of other tools, read into our model with a place for every complaint.

pub mod argo;
