//! Domain logic without I/O: addresses, countries, languages, service areas, and the request budget
//! of the web service.

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
