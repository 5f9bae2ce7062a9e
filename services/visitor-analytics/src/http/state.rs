//! The state that all handlers share.

use std::sync::Arc;

use chassis::request_slots::RequestSlots;
use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::app::admission::AdmissionControl;
use crate::app::ignore_rules::IgnoreRules;
use crate::app::ingest::IngestService;
use crate::app::live::LiveHub;
use crate::app::reports::ReportEngine;
use crate::domain::privacy::PrivacyPolicy;
use crate::domain::session::NotifyPolicy;
use crate::store::Store;

/// Shared, because axum clones the state several times per request.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub ingest: IngestService,
    pub admission: AdmissionControl,
    pub store: Store,
    pub reports: ReportEngine,
    pub privacy_policy: PrivacyPolicy,
    pub notify_policy: NotifyPolicy,
    pub clock: Clock,
    pub ignore_rules: IgnoreRules,
    pub live_hub: LiveHub,
    /// Limits concurrent exports.
    pub export_slots: Arc<RequestSlots>,
    /// Limits concurrent imports.
    pub import_slots: Arc<RequestSlots>,
    /// Ends live streams, imports and removals when the service stops.
    pub shutdown: CancellationToken,
}
