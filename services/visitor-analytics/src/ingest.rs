//! The ingest pipeline: admission, bot rules, location, visitor id, and the recorder.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bot_detection::BotVerdict;
use chrono::{DateTime, TimeDelta, Utc};
use common::geo::Location;

use crate::admission::{AdmissionControl, AdmissionError, NewSitePolicy};
use crate::clients::geo::GeoClient;
use crate::domain::classified::{EnrichedVisit, LocationStatus};
use crate::domain::classifier::VisitEnricher;
use crate::domain::import::ReimportedVisit;
use crate::domain::session::{NotifyPolicy, NotifyTrigger};
use crate::domain::visit::NewVisit;
use crate::domain::visitor::VisitorIdLifetime;
use crate::store::{RecordOutcome, RecordedVisit, Store, StoreError};
use crate::workers::crawlers::CrawlerVerifier;
use crate::workers::recorder::{RecordError, VisitRecorder};
use crate::workers::watcher::SessionMonitor;

/// No visit is recent enough to be announced, whatever its timestamp.
const NEVER_NOTIFY: NotifyPolicy = NotifyPolicy {
    max_age: TimeDelta::days(-36_500),
    when: NotifyTrigger::FirstVisit,
};
/// Maximum duration of the transaction that records a batch of an import.
const IMPORT_COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

pub struct IngestService {
    admission: AdmissionControl,
    classifier: VisitEnricher,
    locator: GeoClient,
    store: Store,
    recorder: VisitRecorder,
    visitor_ids: VisitorIdLifetime,
    watch: SessionMonitor,
    proofs: Option<CrawlerVerifier>,
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
        classifier: VisitEnricher,
        store: Store,
        locator: GeoClient,
        recorder: VisitRecorder,
        visitor_ids: VisitorIdLifetime,
        watch: SessionMonitor,
        proofs: Option<CrawlerVerifier>,
    ) -> Self {
        Self {
            admission,
            classifier,
            locator,
            store,
            recorder,
            visitor_ids,
            watch,
            proofs,
        }
    }

    /// Records visits that arrive at `now`. Returns one result per visit, in the same order.
    pub async fn receive(
        &self,
        visits: Vec<NewVisit>,
        new_sites: NewSitePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<IngestedVisit, AdmissionError>>, RecordError> {
        let refusals = self.admission.refusals(visits.iter(), new_sites, now).await;
        let refusals = refusals.map_err(Arc::new)?;
        if refusals.is_empty() {
            return self.record(visits, now).await;
        }
        let admitted = visits.into_iter().zip(&refusals);
        let admitted = admitted.filter_map(|(visit, refusal)| refusal.is_none().then_some(visit));
        let mut recorded = self.record(admitted.collect(), now).await?.into_iter();
        let answers = refusals.into_iter().map(|refusal| match refusal {
            Some(refusal) => Some(Err(refusal)),
            None => recorded.next(),
        });
        Ok(answers.flatten().collect())
    }

    async fn record(
        &self,
        visits: Vec<NewVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<IngestedVisit, AdmissionError>>, RecordError> {
        let mut classified = self.classify(visits, now).await?;
        let claims: Vec<_> = match &self.proofs {
            Some(proofs) => classified.iter_mut().map(|v| proofs.look(v, now)).collect(),
            None => vec![],
        };
        let glimpses: Vec<_> = classified.iter_mut().map(|v| self.watch.look(v)).collect();
        let summaries: Vec<_> = classified.iter().map(summary).collect();
        let recorded = self.recorder.record(classified).await?;
        for (glimpse, recorded) in glimpses.into_iter().zip(&recorded) {
            self.watch.saw(glimpse, recorded);
        }
        for (claim, recorded) in claims.into_iter().zip(&recorded) {
            if let (Some(proofs), Some(claim)) = (&self.proofs, claim) {
                proofs.doubt(claim, recorded);
            }
        }
        let received = summaries.into_iter().zip(recorded);
        let received = received.map(|((id, verdict, location), recorded)| {
            if recorded.outcome == RecordOutcome::Taken {
                return Err(AdmissionError::IdTaken);
            }
            Ok(IngestedVisit {
                id,
                recorded,
                verdict,
                location,
            })
        });
        Ok(received.collect())
    }

    /// Records visits of an imported file without announcing them. Returns one result per visit, in
    /// the order `visits`, `restored`.
    pub async fn import(
        &self,
        visits: Vec<NewVisit>,
        restored: Vec<ReimportedVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RecordedVisit>, RecordError> {
        let mut classified = self.classify(visits, now).await?;
        let moments = restored.iter().map(|restored| restored.visit().timestamp);
        self.store.make_room(moments).await.map_err(Arc::new)?;
        let restored = restored.into_iter();
        classified.extend(restored.map(|visit| visit.classified(&self.classifier)));
        let recording = self.store.record(&classified, now, NEVER_NOTIFY);
        let recorded = tokio::time::timeout(IMPORT_COMMIT_TIMEOUT, recording).await;
        let recorded = recorded.unwrap_or(Err(StoreError::Silent));
        Ok(recorded.map_err(Arc::new)?)
    }

    async fn classify(
        &self,
        visits: Vec<NewVisit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<EnrichedVisit>, RecordError> {
        let ips: Vec<IpAddr> = visits.iter().map(|visit| visit.ip).collect();
        let moments = visits.iter().map(|visit| visit.timestamp);
        self.store.make_room(moments).await.map_err(Arc::new)?;
        let nameless = visits.iter().filter(|visit| visit.visitor_id.is_none());
        let period = |visit: &NewVisit| self.visitor_ids.period(visit.timestamp);
        let periods = nameless.map(period).collect();
        let salts = self.store.salts(periods, now).await.map_err(Arc::new)?;
        let places = self.locator.places(&ips).await;
        let visits = visits.into_iter().zip(places);
        let classified = visits.map(|(visit, place)| {
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
            self.classifier.classify(visit, visitor_id, place)
        });
        Ok(classified.collect())
    }
}

fn summary(visit: &EnrichedVisit) -> (uuid::Uuid, BotVerdict, Option<Arc<Location>>) {
    let location = match &visit.place {
        LocationStatus::Known(location) => Some(location.clone()),
        LocationStatus::Unknown | LocationStatus::Owed => None,
    };
    (visit.visit.id, visit.verdict.clone(), location)
}
