//! FOCUS, the FinOps Open Cost and Usage Specification: version 1.3 out, 1.0 and newer in.
//!
//! An estimate is no invoice: it carries `BilledCost` 0 and its cost in List, Contracted and EffectiveCost, with
//! `x_Estimated` true. What is not known cannot be a row, because costs are never null: it goes to a companion file.

pub mod columns;
pub mod read;
pub mod write;
