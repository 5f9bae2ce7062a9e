//! The rollup of a day.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use rollups::aggregate::Metrics;
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use uuid::Uuid;

use crate::domain::visitor_id_kind::VisitorIdKinds;

/// A day to fold, claimed for ten minutes.
#[derive(Clone, Copy, Debug)]
pub struct ClaimedDay {
    pub site_id: i32,
    pub date: NaiveDate,
    /// The id of the last change.
    pub(super) change: Uuid,
}

/// The metrics of one value on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    pub dimension: Dimension,
    /// Whether the metrics are of bots' sessions.
    pub is_bot: bool,
    /// `None` for visits without a value.
    pub value: Option<Arc<str>>,
    pub metrics: Metrics,
}

/// The result of folding a day.
#[derive(Clone, Debug)]
pub struct DayRollup {
    pub rows: Vec<RollupRow>,
    /// The visits in columns.
    pub blocks: Vec<Arc<ColumnBlock>>,
    /// The paths of the pages in the column blocks.
    pub paths: HashMap<u32, Arc<str>>,
    /// How long the ids of the visitors last.
    pub visitor_ids: VisitorIdKinds,
    pub day: LocalDay,
}

impl DayRollup {
    /// The texts whose ids are needed to write the rollup.
    pub fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let values = self.rows.iter().filter_map(|row| row.value.as_ref());
        values.chain(self.paths.values())
    }
}
