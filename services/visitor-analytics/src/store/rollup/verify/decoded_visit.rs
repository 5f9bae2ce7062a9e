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
pub(super) fn decode_visits(block: &ColumnBlock, day: &Range<i64>) -> Vec<DecodedVisit> {
    let mut visits = vec![];
    let at = |row: usize| block.start + i64::from(block.times[row]);
    let touches = |session_rows: &SessionRows<'_>| {
        session_rows
            .visits
            .clone()
            .any(|row| day.contains(&at(row)))
    };
    for session_rows in block.session_rows().filter(touches) {
        for row in session_rows.visits.clone() {
            visits.push(DecodedVisit {
                visitor: session_rows.visitor_key,
                session: session_rows.session.key,
                is_bot_session: session_rows.session.is_bot,
                at: at(row),
                seconds: block.durations[row].into(),
                columns: ColumnKind::STORED.map(|column| {
                    let row = if column.is_per_session() {
                        session_rows.row
                    } else {
                        row
                    };
                    block.column(column).value(row)
                }),
            });
        }
    }
    visits
}
