//! Making packs of visits that come in their order.

use uuid::Uuid;

use super::{Column, Field, OF_BOT, Pack, Session, Visitor};

/// A pack is full with so many visits.
const FULL: usize = 250_000;

/// A visit, as far as it is packed.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the columns' names say what they hold")]
pub struct Row {
    /// Seconds since 1970.
    pub at: i64,
    /// Whether it is a bot's.
    pub is_bot: bool,
    pub page: u32,
    pub origin: u32,
    pub agent: u32,
    pub verdict: u32,
    pub place: u32,
    pub network: u32,
    pub language: u32,
    pub status: u32,
    pub properties: u32,
}

type NumberOf = fn(&Row) -> u32;

/// Packs visits: each visitor's together, each session's together and in their order.
#[derive(Debug)]
pub struct Packer {
    start: i64,
    visitor: Option<(String, u64)>,
    session: Option<Uuid>,
    visitors: Vec<Visitor>,
    sessions: Vec<Session>,
    origins: Vec<u32>,
    rows: Vec<Row>,
    packs: Vec<Pack>,
}

impl Packer {
    /// For a day that begins at `start`, in seconds since 1970.
    #[must_use]
    pub fn new(start: i64) -> Self {
        Self {
            start,
            visitor: None,
            session: None,
            visitors: vec![],
            sessions: vec![],
            origins: vec![],
            rows: vec![],
            packs: vec![],
        }
    }

    /// Adds the next visit; `key` hashes a visitor's id.
    pub fn add(&mut self, visitor: &str, session: Uuid, row: Row, key: impl Fn(&str) -> u64) {
        if self.visitor.as_ref().is_none_or(|(id, _)| id != visitor) {
            if self.rows.len() >= FULL {
                self.close();
            }
            let key = key(visitor);
            self.visitor = Some((visitor.to_owned(), key));
            self.session = None;
            self.visitors.push(Visitor { key, sessions: 0 });
        }
        if self.session != Some(session) {
            self.session = Some(session);
            let (_, key) = session.as_u64_pair();
            self.sessions.push(Session {
                key,
                visits: 0,
                is_bot: false,
            });
            self.origins.push(row.origin);
            if let Some(visitor) = self.visitors.last_mut() {
                visitor.sessions += 1;
            }
        }
        if let Some(session) = self.sessions.last_mut() {
            session.visits += 1;
            session.is_bot |= row.is_bot;
        }
        self.rows.push(row);
    }

    /// All that was added.
    #[must_use]
    pub fn finish(mut self) -> Vec<Pack> {
        self.close();
        self.packs
    }

    fn close(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return;
        }
        let mut pack = Pack {
            start: self.start,
            visitors: std::mem::take(&mut self.visitors),
            sessions: std::mem::take(&mut self.sessions),
            ..Pack::default()
        };
        let ranges: Vec<_> = pack.runs().map(|run| run.visits).collect();
        pack.at = rows.iter().map(|row| since(row.at, self.start)).collect();
        pack.seconds = vec![0; rows.len()];
        for range in &ranges {
            for row in range.start..range.end.saturating_sub(1) {
                let seconds = rows[row + 1].at - rows[row].at;
                pack.seconds[row] = u32::try_from(seconds).unwrap_or_default();
            }
        }
        let agent = |row: &Row| row.agent | if row.is_bot { OF_BOT } else { 0 };
        let visits: [(Field, NumberOf); 7] = [
            (Field::Page, |row| row.page),
            (Field::Verdict, |row| row.verdict),
            (Field::Place, |row| row.place),
            (Field::Network, |row| row.network),
            (Field::Language, |row| row.language),
            (Field::Status, |row| row.status),
            (Field::Properties, |row| row.properties),
        ];
        for (field, number) in visits {
            let column = Column::of(rows.iter().map(number));
            pack.columns[field as usize] = column;
        }
        let agents = Column::of(rows.iter().map(agent));
        let origins = Column::of(std::mem::take(&mut self.origins).into_iter());
        let entries = Column::of(ranges.iter().map(|range| rows[range.start].page));
        let exits = Column::of(ranges.iter().map(|range| rows[range.end - 1].page));
        let columns = [
            (Field::Agent, agents),
            (Field::Origin, origins),
            (Field::Entry, entries),
            (Field::Exit, exits),
        ];
        for (field, column) in columns {
            pack.columns[field as usize] = column;
        }
        self.packs.push(pack);
    }
}

/// A session reaches over no more than months.
fn since(at: i64, start: i64) -> i32 {
    i32::try_from(at - start).unwrap_or(if at < start { i32::MIN } else { i32::MAX })
}
