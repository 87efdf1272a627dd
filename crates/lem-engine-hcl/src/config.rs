//! Configurations: what a folder of files says, with the place of everything.

mod decode;
mod files;
mod load;
mod names;
mod overrides;
mod types;
mod variables;

pub use decode::constraint;
pub use files::{Files, MAX_FILES, MemoryFiles, SystemFiles};
pub use load::{MAX_MODULE_DEPTH, MAX_MODULES, load};
pub use types::*;
pub use variables::{Inputs, VariableSource, read_inputs};
