//! The visits in column blocks.

use std::ops::Range;

use rollups::column_block::{ColumnBlock, ColumnKind, SessionRows};

/// A visit as it is stored in a column block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DecodedVisit {
    pub(super) visitor: u64,
    pub(super) session: u64,
    pub(super) is_bot_session: bool,
    pub(super) at: i64,
    pub(super) seconds: i64,
    /// In the order of [`ColumnKind::STORED`].
    pub(super) columns: [u32; ColumnKind::STORED.len()],
}

/// The visits of sessions that overlap the day. A block may also contain sessions that only come
/// near the day.
pub(super) fn decode_visits(pack: &ColumnBlock, day: &Range<i64>) -> Vec<DecodedVisit> {
    let mut visits = vec![];
    let at = |row: usize| pack.start + i64::from(pack.times[row]);
    let touches = |run: &SessionRows<'_>| run.visits.clone().any(|row| day.contains(&at(row)));
    for run in pack.session_rows().filter(touches) {
        for row in run.visits.clone() {
            visits.push(DecodedVisit {
                visitor: run.visitor_key,
                session: run.session.key,
                is_bot_session: run.session.is_bot,
                at: at(row),
                seconds: pack.durations[row].into(),
                columns: ColumnKind::STORED.map(|field| {
                    let row = if field.is_per_session() { run.row } else { row };
                    pack.column(field).value(row)
                }),
            });
        }
    }
    visits
}
