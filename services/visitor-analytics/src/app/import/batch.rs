//! Records the lines of an import in batches.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ImportRun;
use super::error::ImportError;
use crate::app::admission::AdmissionError;
use crate::domain::import::ReimportedVisit;
use crate::domain::visit::NewVisit;
use crate::store::{ImportCounts, LineError, RecordOutcome};

/// Visits with their line numbers.
type WithLineNumbers<T> = Vec<(i64, T)>;

impl ImportRun<'_> {
    /// Rejects visits whose id belongs to another site. A site that may not be added stops the
    /// import before the first visit of that site; once the site exists, the import can be resumed.
    async fn reject_foreign_ids(
        &mut self,
        visits: &mut WithLineNumbers<NewVisit>,
        restored: &mut WithLineNumbers<ReimportedVisit>,
        now: DateTime<Utc>,
    ) -> Result<(), ImportError> {
        let of_restored = restored.iter().map(|(_, visit)| visit.visit());
        let all = visits.iter().map(|(_, visit)| visit).chain(of_restored);
        let admission = self.importer.admission;
        let refusals = admission
            .check_visits(all, self.new_site_policy, now)
            .await?;
        let mut refused = refusals.iter().flatten();
        if let Some(site) = refused.find(|why| **why != AdmissionError::IdTaken) {
            return Err((*site).into());
        }
        let mut refusals = refusals.into_iter();
        let mut lines = vec![];
        let mut is_admitted = |line: i64| {
            let is_taken = refusals.next().flatten().is_some();
            lines.extend(is_taken.then_some(line));
            !is_taken
        };
        visits.retain(|(line, _)| is_admitted(*line));
        restored.retain(|(line, _)| is_admitted(*line));
        for line in lines {
            self.reject_taken_id(line);
        }
        Ok(())
    }

    /// Records the visits that are admitted.
    async fn record_batch(
        &mut self,
        mut visits: WithLineNumbers<NewVisit>,
        mut restored: WithLineNumbers<ReimportedVisit>,
        now: DateTime<Utc>,
    ) -> Result<(), ImportError> {
        self.reject_foreign_ids(&mut visits, &mut restored, now)
            .await?;
        if visits.is_empty() && restored.is_empty() {
            return Ok(());
        }
        let (ingest, store) = (self.importer.ingest, self.importer.store);
        let new = visits.iter().map(|(line, visit)| (*line, visit, None));
        let was = restored.iter();
        let was = was.map(|(line, visit)| (*line, visit.visit(), visit.engagement()));
        let all = new.chain(was);
        let all: Vec<_> = all
            .map(|(line, visit, engagement)| (line, (visit.id, visit.timestamp), engagement))
            .collect();
        let keys: Vec<(Uuid, DateTime<Utc>)> = all.iter().map(|(_, key, _)| *key).collect();
        store
            .imports
            .mark_imported(self.import_key.0, &keys)
            .await?;
        let visits = visits.into_iter().map(|(_, visit)| visit).collect();
        let restored = restored.into_iter().map(|(_, visit)| visit).collect();
        let recorded = ingest.record_imported(visits, restored, now).await?;
        let (mut engaged, mut taken) = (vec![], vec![]);
        for ((line, key, engagement), recorded) in all.into_iter().zip(recorded) {
            match recorded.outcome {
                RecordOutcome::Recorded => self.progress.counts.recorded += 1,
                RecordOutcome::Duplicate => self.progress.counts.duplicates += 1,
                RecordOutcome::IdConflict => {
                    self.reject_taken_id(line);
                    taken.push(key);
                    continue;
                }
            }
            engaged.extend(engagement.map(|engagement| (key, engagement)));
        }
        store
            .imports
            .unmark_imported(self.import_key.0, &taken)
            .await?;
        Ok(store.imports.update_engagement(&engaged).await?)
    }

    fn reject_taken_id(&mut self, line: i64) {
        self.reject_line(LineError {
            line,
            code: "VISIT_ID_TAKEN".to_owned(),
            detail: format!("id: {}", AdmissionError::IdTaken),
            field: Some("id".to_owned()),
        });
        // Lines that follow were rejected before.
        self.progress.errors.sort_by_key(|error| error.line);
    }

    /// Records the buffered visits and stores the progress of the import.
    pub(super) async fn flush(&mut self) -> Result<(), ImportError> {
        let (importer, now) = (self.importer, self.importer.clock.now());
        let visits = std::mem::take(&mut self.visits);
        let restored = std::mem::take(&mut self.reimported);
        self.buffered_bytes = 0;
        self.record_batch(visits, restored, now).await?;
        if self.progress.lines > self.previous.lines {
            self.progress.digest = self.digest.clone().finish().as_ref().to_vec();
        } else {
            self.progress.digest = self.previous.digest.clone().unwrap_or_default();
        }
        let is_ours = importer
            .store
            .imports
            .record_progress(self.import_key, &self.progress, now)
            .await?;
        self.progress.counts = ImportCounts::default();
        is_ours.then_some(()).ok_or(ImportError::AlreadyRunning)
    }
}
