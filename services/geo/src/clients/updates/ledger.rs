//! What is remembered over restarts, so that they cost no downloads.

use std::collections::BTreeMap;
use std::io;
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

const STATE_FILE: &str = "ledger.json";

/// Nothing is put off for longer; a clock that was wrong for a while costs a day at most.
const MAX_POSTPONEMENT: TimeDelta = TimeDelta::hours(25);

/// What is known about each edition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UpdateState(pub(super) BTreeMap<String, EditionState>);

/// One edition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EditionState {
    /// Which release is in the folder, in its publisher's words.
    pub(super) release: Option<String>,
    /// That file's md5.
    pub(super) md5: Option<String>,
    /// When to ask next.
    pub(super) next: Option<DateTime<Utc>>,
}

impl EditionState {
    /// When to ask next, if that is not now.
    pub(super) fn waits_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next
            .filter(|next| *next > now && *next - now <= MAX_POSTPONEMENT)
    }
}

impl UpdateState {
    /// One that cannot be read is as none.
    pub(super) fn read(folder: &Path) -> Self {
        let text = std::fs::read(folder.join(STATE_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = NamedTempFile::with_prefix_in(super::folder::TEMP_FILE_PREFIX, folder)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(STATE_FILE))?;
        Ok(())
    }
}
