//! Domain logic without I/O: addresses, countries, languages, service areas, and the request budget
//! of the web service.

mod address;
pub mod areas;
pub mod countries;
mod enrichment;
mod freshness;
mod language;
mod request_budget;

pub use address::{LocateError, canonical_text, parse_address};
pub use enrichment::enrich;
pub use freshness::is_stale;
pub use language::{Language, UnknownLanguage};
pub use request_budget::{BudgetState, RequestBudget, UpstreamError};
