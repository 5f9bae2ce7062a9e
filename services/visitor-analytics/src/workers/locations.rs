//! Pays the places that are owed, when geo is back.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use super::{Pace, Round, repeat};
use crate::clients::geo::Locator;
use crate::store::{Owed, Store, StoreError};

/// How often it is looked for what is owed. Recording a visit without its place wakes the worker.
const PACE: Pace = Pace {
    busy: Duration::from_secs(1),
    idle: Duration::from_secs(10),
};
/// How many visits are served at once.
const BATCH: usize = 500;

/// Fills in places.
pub struct Payer {
    /// Where the debts are.
    pub store: Store,
    /// Who knows places.
    pub locator: Locator,
    /// The time.
    pub clock: Clock,
}

impl Payer {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let wake = self.store.locations_wake();
        repeat("filling in places", PACE, wake, &self.clock, stop, || {
            self.pay()
        })
        .await;
    }

    /// Pays a batch, the oldest first.
    async fn pay(&self) -> Result<Round, StoreError> {
        let owed = self.store.owed_locations(BATCH).await?;
        if owed.is_empty() {
            return Ok(Round::Idle);
        }
        let ips: HashSet<IpAddr> = owed.iter().map(|one| one.ip).collect();
        let Ok(answers) = self.locator.ask(ips.into_iter().collect()).await else {
            return Ok(Round::Busy);
        };
        let answer = |one: Owed| {
            let found = answers.get(&one.ip).cloned().flatten();
            (one, found)
        };
        let found: Vec<_> = owed.into_iter().map(answer).collect();
        self.store.pay_locations(&found, self.clock.now()).await?;
        tracing::info!(visits = found.len(), "owed places filled in");
        Ok(if found.len() == BATCH {
            Round::More
        } else {
            Round::Busy
        })
    }
}
