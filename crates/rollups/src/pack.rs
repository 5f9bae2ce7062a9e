//! A day's visits of a site, column by column: what a question with filters reads.
//!
//! A pack holds visitors one after the other, each one's sessions one after the other, and each
//! session's visits in their order. Sessions are whole: their visits on other days are there too,
//! so that it can be told whether a session's first visit with a value lies on the day. A column
//! keeps each different number once, and for each row the place of its number.

mod bytes;
mod packer;

use std::collections::HashMap;
use std::ops::Range;

pub use bytes::numbers_of_column;
pub use packer::{BlockBuilder, BlockRow};

/// What a column holds. Numbers are those of the tables of values, 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnKind {
    /// The visit's page.
    Page,
    /// The visit's user agent; [`BOT_FLAG`] is added where the visit is a bot's.
    Agent,
    /// The visit's verdict.
    Verdict,
    /// The visit's place.
    Place,
    /// The visit's network.
    Network,
    /// The visit's language, by its number in `rollup_value`.
    Language,
    /// The visit's status code, itself.
    Status,
    /// The visit's properties, by the number that `rollup_value` has for all of them as JSON.
    Properties,
    /// What led to the session.
    Origin,
    /// The session's first page.
    Entry,
    /// The session's last page.
    Exit,
    /// Quarters of an hour since 1970; computed and not kept.
    Quarter,
    /// Minutes since 1970; computed and not kept.
    Minute,
}

/// Marks the agent of a bot's visit.
pub const BOT_FLAG: u32 = 1 << 31;

impl ColumnKind {
    /// Those that are kept, in their order.
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

    /// How many seconds its numbers count, where it is computed.
    #[must_use]
    pub fn length(self) -> Option<i64> {
        match self {
            Self::Quarter => Some(900),
            Self::Minute => Some(60),
            _ => None,
        }
    }

    /// Whether it has a row a session and not a row a visit.
    #[must_use]
    pub fn is_of_session(self) -> bool {
        matches!(self, Self::Origin | Self::Entry | Self::Exit)
    }
}

/// A visitor: who, and how many sessions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockVisitor {
    /// A hash of the id.
    pub key: u64,
    /// How many sessions.
    pub sessions: u32,
}

/// A session, and how many visits follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSession {
    /// A part of the id.
    pub key: u64,
    /// How many visits, those of other days included.
    pub visits: u32,
    /// Whether one of them is a bot's.
    pub is_bot: bool,
}

/// Numbers by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodedColumn {
    /// Each different number once.
    pub numbers: Vec<u32>,
    places: Codes,
}

/// As few bytes a row as will do.
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
    /// The place of a row's number.
    #[must_use]
    pub fn place(&self, row: usize) -> usize {
        match &self.places {
            Codes::One(places) => places[row].into(),
            Codes::Two(places) => places[row].into(),
            Codes::Four(places) => places[row] as usize,
        }
    }

    /// A row's number.
    #[must_use]
    pub fn number(&self, row: usize) -> u32 {
        self.numbers[self.place(row)]
    }

    /// The column of these numbers.
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
                        u32::try_from(numbers.len() - 1).expect("rows are fewer")
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

/// Some of a day's visits, or all: no visitor lies in two packs of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnBlock {
    /// The day's first second since 1970.
    pub start: i64,
    /// In their order.
    pub visitors: Vec<BlockVisitor>,
    /// In their order.
    pub sessions: Vec<BlockSession>,
    /// When each visit was, in seconds since `start`.
    pub at: Vec<i32>,
    /// Seconds until the session's next visit; 0 for its last.
    pub seconds: Vec<u32>,
    columns: [CodedColumn; ColumnKind::STORED.len()],
}

impl ColumnBlock {
    /// A column that is kept; it must have been read.
    #[must_use]
    pub fn column(&self, field: ColumnKind) -> &CodedColumn {
        &self.columns[field as usize]
    }

    /// A column that is computed: its numbers count periods of `length` seconds since 1970.
    #[must_use]
    pub fn parts(&self, length: i64) -> CodedColumn {
        let start = self.start;
        let number = |at: &i32| {
            let part = (start + i64::from(*at)).div_euclid(length);
            u32::try_from(part).unwrap_or_default()
        };
        CodedColumn::of(self.at.iter().map(number))
    }

    /// The bytes that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(CodedColumn::size).sum();
        self.at.len() * 8 + self.sessions.len() * 16 + self.visitors.len() * 16 + columns
    }

    /// Sessions with the rows of their visits, and whether each begins a new visitor.
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
                visitor = *visitors.next().expect("each session has its visitor");
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

/// A session where it lies in a pack.
#[derive(Clone, Debug)]
pub struct SessionRows<'a> {
    /// Its row in columns of sessions.
    pub row: usize,
    /// Whose.
    pub visitor: u64,
    /// Whether it is the visitor's first here.
    pub begins_visitor: bool,
    /// The session.
    pub session: &'a BlockSession,
    /// The rows of its visits.
    pub visits: Range<usize>,
}

#[cfg(test)]
mod tests;
