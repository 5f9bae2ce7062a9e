//! Column blocks: the visits of a day and site, stored column by column, for reports with filters.
//!
//! A block is ordered by visitor, then by session, then by time. Sessions are complete: their
//! visits on other days are included, so that a report can tell whether a session's first visit
//! with a value is on the day. A column stores each distinct number once, and a code (an index into
//! these numbers) for each row.

mod bytes;
mod packer;

use std::collections::HashMap;
use std::ops::Range;

pub use bytes::numbers_of_column;
pub use packer::{BlockBuilder, BlockRow};

/// A column. Its numbers are ids of dictionaries; 0 stands for a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnKind {
    Page,
    /// The visit's user agent, with [`BOT_FLAG`] if the visit is a bot's.
    Agent,
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
    Entry,
    Exit,
    /// Quarter hours since 1970; computed, not stored.
    Quarter,
    /// Minutes since 1970; computed, not stored.
    Minute,
}

/// The bit of [`ColumnKind::Agent`] that marks a bot's visit.
pub const BOT_FLAG: u32 = 1 << 31;

impl ColumnKind {
    /// The stored columns, in their order.
    pub const STORED: [Self; 11] = [
        Self::Page,
        Self::Agent,
        Self::Verdict,
        Self::Place,
        Self::Network,
        Self::Language,
        Self::Status,
        Self::Properties,
        Self::Origin,
        Self::Entry,
        Self::Exit,
    ];

    /// The unit of a computed column in seconds; `None` for stored columns.
    #[must_use]
    pub fn length(self) -> Option<i64> {
        match self {
            Self::Quarter => Some(900),
            Self::Minute => Some(60),
            _ => None,
        }
    }

    /// Whether the column has a row per session instead of a row per visit.
    #[must_use]
    pub fn is_of_session(self) -> bool {
        matches!(self, Self::Origin | Self::Entry | Self::Exit)
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
    pub numbers: Vec<u32>,
    places: Codes,
}

/// Codes with the smallest width that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Codes {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl Default for Codes {
    fn default() -> Self {
        Self::One(vec![])
    }
}

impl CodedColumn {
    /// The code of a row.
    #[must_use]
    pub fn place(&self, row: usize) -> usize {
        match &self.places {
            Codes::One(places) => places[row].into(),
            Codes::Two(places) => places[row].into(),
            Codes::Four(places) => places[row] as usize,
        }
    }

    /// The number of a row.
    #[must_use]
    pub fn number(&self, row: usize) -> u32 {
        self.numbers[self.place(row)]
    }

    /// Encodes numbers.
    fn of(rows: impl Iterator<Item = u32>) -> Self {
        let mut numbers = vec![];
        let mut known = HashMap::new();
        let mut last = None;
        let places: Vec<u32> = rows
            .map(|number| match last {
                Some((same, place)) if same == number => place,
                _ => {
                    let place = *known.entry(number).or_insert_with(|| {
                        numbers.push(number);
                        u32::try_from(numbers.len() - 1).expect("a block has fewer than 2^32 rows")
                    });
                    last = Some((number, place));
                    place
                }
            })
            .collect();
        let places = match numbers.len() {
            0..=0x100 => Codes::One(places.iter().map(|place| place.to_le_bytes()[0]).collect()),
            0x101..=0x1_0000 => {
                let two = |place: &u32| {
                    let [low, high, ..] = place.to_le_bytes();
                    u16::from_le_bytes([low, high])
                };
                Codes::Two(places.iter().map(two).collect())
            }
            _ => Codes::Four(places),
        };
        Self { numbers, places }
    }

    fn size(&self) -> usize {
        let rows = match &self.places {
            Codes::One(places) => places.len(),
            Codes::Two(places) => places.len() * 2,
            Codes::Four(places) => places.len() * 4,
        };
        rows + self.numbers.len() * 4
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
    pub at: Vec<i32>,
    /// Seconds until the session's next visit; 0 for its last.
    pub seconds: Vec<u32>,
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
    pub fn parts(&self, length: i64) -> CodedColumn {
        let start = self.start;
        let number = |at: &i32| {
            let part = (start + i64::from(*at)).div_euclid(length);
            u32::try_from(part).unwrap_or_default()
        };
        CodedColumn::of(self.at.iter().map(number))
    }

    /// The approximate size in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(CodedColumn::size).sum();
        self.at.len() * 8 + self.sessions.len() * 16 + self.visitors.len() * 16 + columns
    }

    /// The sessions with the rows of their visits.
    pub fn runs(&self) -> impl Iterator<Item = SessionRows<'_>> {
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
                visitor: visitor.key,
                begins_visitor: is_new,
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
    pub visitor: u64,
    /// Whether it is the visitor's first session in the block.
    pub begins_visitor: bool,
    pub session: &'a BlockSession,
    /// The rows of the visits.
    pub visits: Range<usize>,
}

#[cfg(test)]
mod tests;
