//! Infracost's two files: the usage file comes in as it is, the cost document goes out in its shape.

pub mod json;
pub mod usage;
