//! Column blocks: the visits of a day and site, stored column by column, for reports with filters.
//!
//! A block is ordered by visitor, then by session, then by time. Sessions are complete: their
//! visits on other days are included, so that a report can tell whether a session's first visit
//! with a value is on the day. A column stores each distinct number once, and a code (an index into
//! these numbers) for each row.

mod builder;
mod codec;

use std::collections::HashMap;
use std::ops::Range;

pub use builder::{BlockBuilder, BlockRow};
pub use codec::decode_column_values;

/// A column. Its numbers are ids of dictionaries; 0 stands for a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnKind {
    Page,
    /// The visit's user agent, with [`BOT_FLAG`] if the visit is a bot's.
    UserAgent,
    Verdict,
    Place,
    Network,
    /// The visit's language, an id of `rollup_value`.
    Language,
    /// The HTTP status code itself.
    Status,
    /// The visit's properties as one JSON text, an id of `rollup_value`.
    Properties,
    /// The session's origin.
    Origin,
    EntryPage,
    ExitPage,
    /// Quarter hours since 1970; computed, not stored.
    QuarterHour,
    /// Minutes since 1970; computed, not stored.
    Minute,
}

/// The bit of [`ColumnKind::UserAgent`] that marks a bot's visit.
pub const BOT_FLAG: u32 = 1 << 31;

impl ColumnKind {
    /// The stored columns, in their order.
    pub const STORED: [Self; 11] = [
        Self::Page,
        Self::UserAgent,
        Self::Verdict,
        Self::Place,
        Self::Network,
        Self::Language,
        Self::Status,
        Self::Properties,
        Self::Origin,
        Self::EntryPage,
        Self::ExitPage,
    ];

    /// The unit of a computed column in seconds; `None` for stored columns.
    #[must_use]
    pub fn unit_seconds(self) -> Option<i64> {
        match self {
            Self::QuarterHour => Some(900),
            Self::Minute => Some(60),
            _ => None,
        }
    }

    /// Whether the column has a row per session instead of a row per visit.
    #[must_use]
    pub fn is_per_session(self) -> bool {
        matches!(self, Self::Origin | Self::EntryPage | Self::ExitPage)
    }
}

/// A visitor and the number of sessions that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockVisitor {
    /// A hash of the visitor id.
    pub key: u64,
    pub sessions: u32,
}

/// A session and the number of visits that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSession {
    /// The last 64 bits of the session id.
    pub key: u64,
    /// The number of visits, including those on other days.
    pub visits: u32,
    /// Whether at least one visit is a bot's.
    pub is_bot: bool,
}

/// A dictionary-encoded column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodedColumn {
    /// The distinct numbers.
    pub values: Vec<u32>,
    codes: ColumnCodes,
}

/// Codes with the smallest width that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ColumnCodes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

impl Default for ColumnCodes {
    fn default() -> Self {
        Self::U8(vec![])
    }
}

impl CodedColumn {
    /// The code of a row.
    #[must_use]
    pub fn code(&self, row: usize) -> usize {
        match &self.codes {
            ColumnCodes::U8(places) => places[row].into(),
            ColumnCodes::U16(places) => places[row].into(),
            ColumnCodes::U32(places) => places[row] as usize,
        }
    }

    /// The number of a row.
    #[must_use]
    pub fn value(&self, row: usize) -> u32 {
        self.values[self.code(row)]
    }

    /// Encodes numbers.
    fn encode(rows: impl Iterator<Item = u32>) -> Self {
        let mut values = vec![];
        let mut known = HashMap::new();
        let mut last = None;
        let places: Vec<u32> = rows
            .map(|number| match last {
                Some((same, place)) if same == number => place,
                _ => {
                    let place = *known.entry(number).or_insert_with(|| {
                        values.push(number);
                        u32::try_from(values.len() - 1).expect("a block has fewer than 2^32 rows")
                    });
                    last = Some((number, place));
                    place
                }
            })
            .collect();
        let codes = match values.len() {
            0..=0x100 => {
                ColumnCodes::U8(places.iter().map(|place| place.to_le_bytes()[0]).collect())
            }
            0x101..=0x1_0000 => {
                let two = |place: &u32| {
                    let [low, high, ..] = place.to_le_bytes();
                    u16::from_le_bytes([low, high])
                };
                ColumnCodes::U16(places.iter().map(two).collect())
            }
            _ => ColumnCodes::U32(places),
        };
        Self { values, codes }
    }

    fn size_bytes(&self) -> usize {
        let rows = match &self.codes {
            ColumnCodes::U8(places) => places.len(),
            ColumnCodes::U16(places) => places.len() * 2,
            ColumnCodes::U32(places) => places.len() * 4,
        };
        rows + self.values.len() * 4
    }
}

/// Visits of a day. Each visitor is in a single block of the day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnBlock {
    /// The start of the day in seconds since 1970.
    pub start: i64,
    pub visitors: Vec<BlockVisitor>,
    pub sessions: Vec<BlockSession>,
    /// The time of each visit, in seconds since `start`.
    pub times: Vec<i32>,
    /// Seconds until the session's next visit; 0 for its last.
    pub durations: Vec<u32>,
    columns: [CodedColumn; ColumnKind::STORED.len()],
}

impl ColumnBlock {
    /// A stored column, which must have been read.
    #[must_use]
    pub fn column(&self, field: ColumnKind) -> &CodedColumn {
        &self.columns[field as usize]
    }

    /// Computes a column that numbers periods of `length` seconds since 1970.
    #[must_use]
    pub fn computed_column(&self, length: i64) -> CodedColumn {
        let start = self.start;
        let number = |at: &i32| {
            let part = (start + i64::from(*at)).div_euclid(length);
            u32::try_from(part).unwrap_or_default()
        };
        CodedColumn::encode(self.times.iter().map(number))
    }

    /// The approximate size in memory, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(CodedColumn::size_bytes).sum();
        self.times.len() * 8 + self.sessions.len() * 16 + self.visitors.len() * 16 + columns
    }

    /// The sessions with the rows of their visits.
    pub fn session_rows(&self) -> impl Iterator<Item = SessionRows<'_>> {
        let mut visits = 0;
        let mut visitors = self.visitors.iter();
        let mut left = 0;
        let mut visitor = BlockVisitor {
            key: 0,
            sessions: 0,
        };
        self.sessions.iter().enumerate().map(move |(row, session)| {
            let is_new = left == 0;
            if is_new {
                visitor = *visitors.next().expect("each session has a visitor");
                left = visitor.sessions;
            }
            left -= 1;
            let first = visits;
            visits += session.visits as usize;
            SessionRows {
                row,
                visitor_key: visitor.key,
                is_first_of_visitor: is_new,
                session,
                visits: first..visits,
            }
        })
    }
}

/// A session and its rows in a block.
#[derive(Clone, Debug)]
pub struct SessionRows<'a> {
    /// The row in the columns with a row per session.
    pub row: usize,
    /// The key of the visitor.
    pub visitor_key: u64,
    /// Whether it is the visitor's first session in the block.
    pub is_first_of_visitor: bool,
    pub session: &'a BlockSession,
    /// The rows of the visits.
    pub visits: Range<usize>,
}

#[cfg(test)]
mod tests;
