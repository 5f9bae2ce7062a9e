//! A visit as rows of the dictionary tables.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A visit with the ids of its values.
pub(super) struct VisitIds {
    pub(super) id: Uuid,
    pub(super) visitor_id: String,
    pub(super) session_id: Uuid,
    pub(super) timestamp: DateTime<Utc>,
    pub(super) is_bot: bool,
    pub(super) page_id: i32,
    pub(super) origin_id: i32,
    pub(super) agent_id: i32,
    pub(super) verdict_id: i32,
    pub(super) place_id: Option<i32>,
    pub(super) network_id: Option<i32>,
    pub(super) status_code: Option<i16>,
    pub(super) language: Option<String>,
    /// The properties on which the site reports, such as `plan=pro`.
    pub(super) properties: Option<Vec<String>>,
}

impl VisitIds {
    /// The properties as JSON; `None` if there are none.
    pub(super) fn properties_json(&self) -> Option<String> {
        let properties = self.properties.as_ref().filter(|all| !all.is_empty())?;
        serde_json::to_string(properties).ok()
    }
}
