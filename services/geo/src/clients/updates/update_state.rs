//! The update state on disk, so that a restart does not repeat downloads.

use std::collections::BTreeMap;
use std::io;
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::temp_file;

const STATE_FILE: &str = "ledger.json";

/// Longer delays are ignored, so that a clock that was wrong delays a check by a day at most.
const MAX_CHECK_DELAY: TimeDelta = TimeDelta::hours(25);

/// By edition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UpdateState(pub(super) BTreeMap<String, EditionState>);

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EditionState {
    /// The installed release, as named by the publisher.
    pub(super) release: Option<String>,
    /// MD5 of the installed file.
    pub(super) md5: Option<String>,
    /// When to check for a newer release.
    pub(super) next: Option<DateTime<Utc>>,
}

impl EditionState {
    /// The time of the next check; `None` if it is due.
    pub(super) fn next_check(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next
            .filter(|next| *next > now && *next - now <= MAX_CHECK_DELAY)
    }
}

impl UpdateState {
    /// An unreadable state counts as empty.
    pub(super) fn read(folder: &Path) -> Self {
        let text = std::fs::read(folder.join(STATE_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = temp_file::create(folder)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(STATE_FILE))?;
        Ok(())
    }
}
