//! Backfills the locations of visits that were recorded while geo was unavailable.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use chassis::database::StoreError;
use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::clients::geo::GeoClient;
use crate::store::{PendingLocation, Store};

/// How often pending locations are polled. Recording a visit without its location wakes the worker.
const BACKFILL_SCHEDULE: PollSchedule = PollSchedule {
    busy_interval: Duration::from_secs(1),
    max_idle_interval: Duration::from_secs(10),
};
/// Visits per round.
const MAX_BACKFILL_VISITS: usize = 500;

pub struct LocationBackfill {
    pub store: Store,
    pub geo: GeoClient,
    pub clock: Clock,
}

impl LocationBackfill {
    pub async fn run(self, stop: CancellationToken) {
        let wake = self.store.locations_wakeup();
        run_rounds(
            "location backfill",
            BACKFILL_SCHEDULE,
            wake,
            &self.clock,
            stop,
            || self.backfill_batch(),
        )
        .await;
    }

    /// Backfills a batch, the oldest visits first.
    #[tracing::instrument(level = "debug", name = "backfill_locations", skip_all)]
    async fn backfill_batch(&self) -> Result<RoundOutcome, StoreError> {
        let pending = self
            .store
            .pending_locations
            .list(MAX_BACKFILL_VISITS)
            .await?;
        if pending.is_empty() {
            return Ok(RoundOutcome::Idle);
        }
        let ips: HashSet<IpAddr> = pending.iter().map(|one| one.ip).collect();
        let Ok(answers) = self.geo.fetch_locations(ips.into_iter().collect()).await else {
            return Ok(RoundOutcome::Busy);
        };
        let answer = |one: PendingLocation| {
            let found = answers.get(&one.ip).cloned().flatten();
            (one, found)
        };
        let found: Vec<_> = pending.into_iter().map(answer).collect();
        self.store
            .pending_locations
            .resolve(&found, self.clock.now())
            .await?;
        tracing::info!(visits = found.len(), "backfilled the locations of visits");
        Ok(if found.len() == MAX_BACKFILL_VISITS {
            RoundOutcome::More
        } else {
            RoundOutcome::Busy
        })
    }
}
