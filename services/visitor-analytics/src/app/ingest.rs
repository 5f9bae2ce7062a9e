//! The ingest pipeline: admission, bot rules, location, visitor id, and the recorder.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bot_detection::BotVerdict;
use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::geo::Location;

use crate::app::admission::{AdmissionControl, AdmissionError, NewSitePolicy};
use crate::app::crawler_verification::CrawlerVerifier;
use crate::app::recorder::{RecordError, VisitRecorder};
use crate::app::session_monitor::SessionMonitor;
use crate::clients::geo::GeoClient;
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};
use crate::domain::import::ReimportedVisit;
use crate::domain::session::{NotifyPolicy, NotifyTrigger};
use crate::domain::visit::NewVisit;
use crate::domain::visit_enricher::VisitEnricher;
use crate::domain::visitor_id::VisitorIdLifetime;
use crate::store::{RecordOutcome, RecordedVisit, Store};

/// No visit is recent enough to be announced, whatever its timestamp.
const NEVER_NOTIFY: NotifyPolicy = NotifyPolicy {
    max_age: TimeDelta::days(-36_500),
    trigger: NotifyTrigger::FirstVisit,
};
/// Maximum duration of the transaction that records a batch of an import.
const IMPORT_COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

pub struct IngestService {
    admission: AdmissionControl,
    enricher: VisitEnricher,
    geo: GeoClient,
    store: Store,
    recorder: VisitRecorder,
    visitor_id_lifetime: VisitorIdLifetime,
    session_monitor: SessionMonitor,
    crawler_verifier: Option<CrawlerVerifier>,
}

#[derive(Clone, Debug)]
pub struct IngestedVisit {
    pub id: uuid::Uuid,
    pub recorded: RecordedVisit,
    pub verdict: BotVerdict,
    pub location: Option<Arc<Location>>,
}

impl IngestService {
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a step of the pipeline, named by its type"
    )]
    pub fn new(
        admission: AdmissionControl,
        enricher: VisitEnricher,
        store: Store,
        geo: GeoClient,
        recorder: VisitRecorder,
        visitor_id_lifetime: VisitorIdLifetime,
        session_monitor: SessionMonitor,
        crawler_verifier: Option<CrawlerVerifier>,
    ) -> Self {
        Self {
            admission,
            enricher,
            geo,
            store,
            recorder,
            visitor_id_lifetime,
            session_monitor,
            crawler_verifier,
        }
    }

    /// Records visits that arrive at `now`. Returns one result per visit, in the same order.
    #[tracing::instrument(level = "debug", name = "record_visits", skip_all, fields(visits = visits.len()))]
    pub async fn ingest(
        &self,
        visits: Vec<NewVisit>,
        new_sites: NewSitePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<IngestedVisit, AdmissionError>>, RecordError> {
        let refusals = self
            .admission
            .check_visits(visits.iter(), new_sites, now)
            .await;
        let refusals = refusals.map_err(Arc::new)?;
        if refusals.is_empty() {
            return self.record_admitted(visits, now).await;
        }
        let admitted = visits.into_iter().zip(&refusals);
        let admitted = admitted.filter_map(|(visit, refusal)| refusal.is_none().then_some(visit));
        let mut recorded = self
            .record_admitted(admitted.collect(), now)
            .await?
            .into_iter();
        let results = refusals.into_iter().map(|refusal| match refusal {
            Some(refusal) => Some(Err(refusal)),
            None => recorded.next(),
        });
        Ok(results.flatten().collect())
    }

    async fn record_admitted(
        &self,
        visits: Vec<NewVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<IngestedVisit, AdmissionError>>, RecordError> {
        let mut enriched = self.enrich(visits, now).await?;
        let verifications: Vec<_> = match &self.crawler_verifier {
            Some(verifier) => enriched
                .iter_mut()
                .map(|v| verifier.inspect(v, now))
                .collect(),
            None => vec![],
        };
        let observations: Vec<_> = enriched
            .iter_mut()
            .map(|v| self.session_monitor.inspect(v))
            .collect();
        let summaries: Vec<_> = enriched.iter().map(summarize).collect();
        let recorded = self.recorder.record(enriched).await?;
        for (observation, recorded) in observations.into_iter().zip(&recorded) {
            self.session_monitor.observe(observation, recorded);
        }
        for (verification, recorded) in verifications.into_iter().zip(&recorded) {
            if let (Some(verifier), Some(verification)) = (&self.crawler_verifier, verification) {
                verifier.enqueue(verification, recorded);
            }
        }
        let ingested = summaries.into_iter().zip(recorded);
        let ingested = ingested.map(|((id, verdict, location), recorded)| {
            if recorded.outcome == RecordOutcome::IdConflict {
                return Err(AdmissionError::IdTaken);
            }
            Ok(IngestedVisit {
                id,
                recorded,
                verdict,
                location,
            })
        });
        Ok(ingested.collect())
    }

    /// Records visits of an imported file without announcing them. Returns one result per visit, in
    /// the order `visits`, `restored`.
    #[tracing::instrument(level = "debug", name = "record_imported_visits", skip_all, fields(visits = visits.len(), restored = restored.len()))]
    pub async fn record_imported(
        &self,
        visits: Vec<NewVisit>,
        restored: Vec<ReimportedVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RecordedVisit>, RecordError> {
        let mut enriched = self.enrich(visits, now).await?;
        let moments = restored.iter().map(|restored| restored.visit().timestamp);
        self.store
            .partitions
            .ensure(moments)
            .await
            .map_err(Arc::new)?;
        let restored = restored.into_iter();
        enriched.extend(restored.map(|visit| visit.into_enriched(&self.enricher)));
        let recording = self.store.writer.record(&enriched, now, NEVER_NOTIFY);
        let recorded = tokio::time::timeout(IMPORT_COMMIT_TIMEOUT, recording).await;
        let recorded = recorded.unwrap_or(Err(StoreError::Timeout));
        Ok(recorded.map_err(Arc::new)?)
    }

    async fn enrich(
        &self,
        visits: Vec<NewVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<EnrichedVisit>, RecordError> {
        let ips: Vec<IpAddr> = visits.iter().map(|visit| visit.ip).collect();
        let moments = visits.iter().map(|visit| visit.timestamp);
        self.store
            .partitions
            .ensure(moments)
            .await
            .map_err(Arc::new)?;
        let without_id = visits.iter().filter(|visit| visit.visitor_id.is_none());
        let period = |visit: &NewVisit| self.visitor_id_lifetime.period(visit.timestamp);
        let periods = without_id.map(period).collect();
        let salts = self
            .store
            .salts
            .get_or_create(periods, now)
            .await
            .map_err(Arc::new)?;
        let locations = self.geo.locate_all(&ips).await;
        let visits = visits.into_iter().zip(locations);
        let enriched = visits.map(|(visit, location)| {
            let period = period(&visit);
            let visitor_id = match (&visit.visitor_id, salts.get(&period)) {
                (Some(own), _) => own.clone(),
                (None, Some(salt)) => {
                    period.visitor_id(salt, &visit.site, visit.ip, &visit.user_agent)
                }
                (None, None) => {
                    unreachable!("a salt was loaded for each period of a visit without id")
                }
            };
            self.enricher.enrich(visit, visitor_id, location)
        });
        Ok(enriched.collect())
    }
}

fn summarize(visit: &EnrichedVisit) -> (uuid::Uuid, BotVerdict, Option<Arc<Location>>) {
    let location = match &visit.location_status {
        LocationStatus::Known(location) => Some(location.clone()),
        LocationStatus::Unknown | LocationStatus::Pending => None,
    };
    (visit.visit.id, visit.verdict.clone(), location)
}
