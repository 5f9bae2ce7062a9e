//! Downloads new releases of databases.

mod backups;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::health::CheckResult;
use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use common::clock::Clock;
use tokio::time::Instant;

use self::backups::BackupRound;
pub use self::backups::DatabaseBackups;
use crate::clients::updates::{
    DownloadDir, LockedDownloadDir, Publisher, UpdateError, UpdateOutcome,
};
use crate::metrics::count_update;

/// MaxMind publishes twice a week, DB-IP monthly.
const CHECK_INTERVAL: TimeDelta = TimeDelta::hours(24);

/// The delay after the first failure. It doubles with each further failure, up to
/// [`CHECK_INTERVAL`].
const RETRY_DELAY: TimeDelta = TimeDelta::hours(1);

/// How long a temporary failure is retried within one check.
const RETRY_BUDGET: Duration = Duration::from_mins(5);

/// The longest wait between two such retries.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Downloads new releases from a publisher into a directory, from which the watcher loads them.
pub struct DatabaseUpdater {
    publisher: Publisher,
    download_dir: DownloadDir,
    backups: Option<DatabaseBackups>,
    http: reqwest::Client,
    clock: Clock,
    /// By edition.
    statuses: Mutex<BTreeMap<String, UpdateStatus>>,
}

#[derive(Clone, Default)]
struct UpdateStatus {
    failures: u32,
    /// The last error, and whether it needs action by an operator.
    error: Option<(String, bool)>,
    next_check: Option<DateTime<Utc>>,
}

impl DatabaseUpdater {
    /// Fails if the HTTP client cannot be created.
    pub fn new(
        publisher: Publisher,
        download_dir: DownloadDir,
        backups: Option<DatabaseBackups>,
        clock: Clock,
    ) -> reqwest::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            publisher,
            download_dir,
            backups,
            http: chassis::http_client::build("tetralto-geo")?,
            clock,
            statuses: Mutex::default(),
        }))
    }

    /// Checks every edition that is due.
    #[tracing::instrument(level = "debug", name = "update_databases", skip_all)]
    pub async fn run_round(&self) {
        let is_behind = self
            .backups
            .as_ref()
            .is_some_and(DatabaseBackups::needs_retry);
        if self.time_until_next_check() > Duration::ZERO && !is_behind {
            return;
        }
        let mut folder = match self.download_dir.lock() {
            Ok(Some(folder)) => folder,
            // Another process is updating the directory; the watcher finds its downloads.
            Ok(None) => return,
            Err(error) => {
                for edition in self.publisher.editions() {
                    self.record_failure(&edition, &error);
                }
                return;
            }
        };
        let editions = self.publisher.editions();
        let copies = self.restore_backups(&editions, &mut folder).await;
        let is_ours = copies.as_ref().is_none_or(|(_, round)| round.holds_lock());
        for edition in &editions {
            if let Some(until) = self.next_check(edition, &folder) {
                self.with_status(edition, |state| state.next_check = Some(until));
                continue;
            }
            if !is_ours {
                // Another replica downloads the edition; it is restored in a later round.
                continue;
            }
            match self.update_with_retries(edition, &mut folder).await {
                Ok(brought) => self.record_success(edition, brought, &mut folder),
                Err(error) => {
                    let next = self.record_failure(edition, &error);
                    if matches!(error, UpdateError::DownloadLimit) {
                        log_state_error(folder.set_next_check(edition, next));
                    }
                }
            }
        }
        if editions.iter().all(|edition| folder.has_database(edition)) {
            log_state_error(folder.remove_other_editions(&editions));
        }
        if let Some((copies, round)) = copies.filter(|_| is_ours) {
            copies.save(round, &editions, &folder).await;
        }
    }

    /// Restores databases that other replicas or earlier processes have backed up.
    async fn restore_backups(
        &self,
        editions: &[String],
        folder: &mut LockedDownloadDir,
    ) -> Option<(&DatabaseBackups, BackupRound)> {
        let copies = self.backups.as_ref()?;
        let mut round = copies.start_round().await?;
        for edition in copies.restore(&mut round, editions, folder).await {
            self.with_status(&edition, |state| *state = UpdateStatus::default());
        }
        Some((copies, round))
    }

    /// The time of the next check of an edition; `None` if it is due.
    fn next_check(&self, edition: &str, folder: &LockedDownloadDir) -> Option<DateTime<Utc>> {
        let now = self.clock.now();
        let known = self.with_status(edition, |state| state.next_check);
        let known = known.filter(|next| *next > now);
        known.or_else(|| folder.next_check(edition, now))
    }

    /// Checks for a new release, with retries after temporary failures.
    async fn update_with_retries(
        &self,
        edition: &str,
        folder: &mut LockedDownloadDir,
    ) -> Result<UpdateOutcome, UpdateError> {
        let end = Instant::now() + RETRY_BUDGET;
        let mut wait = Duration::from_secs(1);
        loop {
            let now = self.clock.now();
            let asked = self.publisher.update(&self.http, edition, folder, now);
            match asked.await {
                Err(error) if error.is_retryable() && Instant::now() + wait < end => {
                    self.with_status(edition, |state| {
                        state.error = Some((error.to_string(), false));
                    });
                    count_update(edition, "repeated");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_RETRY_DELAY);
                }
                outcome => return outcome,
            }
        }
    }

    fn record_success(
        &self,
        edition: &str,
        brought: UpdateOutcome,
        folder: &mut LockedDownloadDir,
    ) {
        let next = self.clock.now() + CHECK_INTERVAL;
        self.with_status(edition, |state| {
            *state = UpdateStatus {
                next_check: Some(next),
                ..UpdateStatus::default()
            };
        });
        log_state_error(folder.set_next_check(edition, next));
        match brought {
            UpdateOutcome::Installed => {
                tracing::info!(edition, "a new database release was downloaded");
                count_update(edition, "new");
            }
            UpdateOutcome::UpToDate => count_update(edition, "nothing_new"),
        }
    }

    /// Records a failure and returns the time of the next check. Only the first of several failures
    /// in a row is logged.
    fn record_failure(&self, edition: &str, error: &UpdateError) -> DateTime<Utc> {
        count_update(edition, "failed");
        let now = self.clock.now();
        let next = |failures: u32| match error {
            UpdateError::DownloadLimit => after_next_midnight(now),
            _ => now + (RETRY_DELAY * 2_i32.pow(failures.min(5))).min(CHECK_INTERVAL),
        };
        let trouble = error.to_string();
        let (is_news, next) = self.with_status(edition, |state| {
            let next = next(state.failures);
            let is_news = state.failures == 0;
            state.failures = state.failures.saturating_add(1);
            state.error = Some((trouble.clone(), error.needs_operator()));
            state.next_check = Some(next);
            (is_news, next)
        });
        let (publisher, until) = (self.publisher.name(), next.format("%F %H:%M UTC"));
        if is_news {
            tracing::warn!(
                edition,
                "the update from {publisher} failed: {trouble}; next check at {until}"
            );
        }
        next
    }

    /// The time until the next check.
    pub fn time_until_next_check(&self) -> Duration {
        let now = self.clock.now();
        let editions = self.publisher.editions();
        let next = |edition: &String| self.with_status(edition, |state| state.next_check);
        // `None`, an edition that was never checked, sorts first.
        let next = editions.iter().map(next).min().flatten();
        let pause = next.map_or(TimeDelta::zero(), |next| next - now);
        pause.to_std().unwrap_or_default()
    }

    fn with_status<T>(&self, edition: &str, change: impl FnOnce(&mut UpdateStatus) -> T) -> T {
        let mut states = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        change(states.entry(edition.to_owned()).or_default())
    }

    /// The check for `/health`. Temporary failures do not degrade it: the check of the databases
    /// degrades when a database becomes stale.
    #[must_use]
    pub fn health(&self) -> CheckResult {
        let states = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let editions = self.publisher.editions();
        let mut is_bad = false;
        let describe = |edition: &String| {
            let state = states.get(edition).cloned().unwrap_or_default();
            let when = state.next_check.map(|next| next.format("%F %H:%M UTC"));
            let when = when.map_or("now".into(), |when| format!("at {when}"));
            match state.error {
                Some((trouble, is_for_people)) => {
                    is_bad |= is_for_people;
                    format!("{edition}: {trouble}; next check {when}")
                }
                None => format!("{edition}: next check {when}"),
            }
        };
        let told: Vec<_> = editions.iter().map(describe).collect();
        let told = format!("{}; {}", self.publisher.name(), told.join("; "));
        if is_bad {
            CheckResult::degraded(told)
        } else {
            CheckResult::ok(told)
        }
    }
}

/// Five minutes after the next midnight (UTC).
fn after_next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    let day = now.date_naive() + Days::new(1);
    day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(5)
}

/// Logs a failure to write the update state. Downloads work without the state.
fn log_state_error(remembered: Result<(), UpdateError>) {
    if let Err(error) = remembered {
        tracing::warn!(%error, "the update state was not saved");
    }
}
