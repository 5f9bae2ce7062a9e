//! Decides: which addresses can be located at all, what is known about countries, and whether a
//! provider that costs something may be asked.

mod address;
mod allowance;
pub mod areas;
pub mod countries;
mod enrichment;
mod freshness;
mod language;

pub use address::{LocateError, SpecialPurpose, parse, spelled};
pub use allowance::{BudgetState, RequestBudget, UpstreamError};
pub use enrichment::enrich;
pub use freshness::is_stale;
pub use language::{Language, UnknownLanguage};
