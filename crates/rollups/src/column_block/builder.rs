//! Builds column blocks from ordered visits.

use uuid::Uuid;

use super::{BOT_FLAG, BlockSession, BlockVisitor, CodedColumn, ColumnBlock, ColumnKind};

/// Visits after which a block is closed at the next visitor.
const MAX_BLOCK_VISITS: usize = 250_000;

/// A visit with the numbers of its columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockRow {
    /// Seconds since 1970.
    pub timestamp: i64,
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

type RowColumn = fn(&BlockRow) -> u32;

/// Builds column blocks. Visits must be grouped by visitor and session and ordered by time.
#[derive(Debug)]
pub struct BlockBuilder {
    start: i64,
    visitor: Option<(String, u64)>,
    session: Option<Uuid>,
    visitors: Vec<BlockVisitor>,
    sessions: Vec<BlockSession>,
    origins: Vec<u32>,
    rows: Vec<BlockRow>,
    blocks: Vec<ColumnBlock>,
}

impl BlockBuilder {
    /// Creates a builder for a day that begins at `start`, in seconds since 1970.
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
            blocks: vec![],
        }
    }

    /// Adds the next visit; `key` hashes the visitor id.
    pub fn add(&mut self, visitor: &str, session: Uuid, row: BlockRow, key: impl Fn(&str) -> u64) {
        if self.visitor.as_ref().is_none_or(|(id, _)| id != visitor) {
            if self.rows.len() >= MAX_BLOCK_VISITS {
                self.close_block();
            }
            let key = key(visitor);
            self.visitor = Some((visitor.to_owned(), key));
            self.session = None;
            self.visitors.push(BlockVisitor { key, sessions: 0 });
        }
        if self.session != Some(session) {
            self.session = Some(session);
            let (_, key) = session.as_u64_pair();
            self.sessions.push(BlockSession {
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

    /// Returns the blocks with all visits that were added.
    #[must_use]
    pub fn finish(mut self) -> Vec<ColumnBlock> {
        self.close_block();
        self.blocks
    }

    fn close_block(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return;
        }
        let mut pack = ColumnBlock {
            start: self.start,
            visitors: std::mem::take(&mut self.visitors),
            sessions: std::mem::take(&mut self.sessions),
            ..ColumnBlock::default()
        };
        let ranges: Vec<_> = pack.session_rows().map(|run| run.visits).collect();
        pack.times = rows
            .iter()
            .map(|row| seconds_since(row.timestamp, self.start))
            .collect();
        pack.durations = vec![0; rows.len()];
        for range in &ranges {
            for row in range.start..range.end.saturating_sub(1) {
                let seconds = rows[row + 1].timestamp - rows[row].timestamp;
                pack.durations[row] = u32::try_from(seconds).unwrap_or_default();
            }
        }
        let agent = |row: &BlockRow| row.agent | if row.is_bot { BOT_FLAG } else { 0 };
        let visits: [(ColumnKind, RowColumn); 7] = [
            (ColumnKind::Page, |row| row.page),
            (ColumnKind::Verdict, |row| row.verdict),
            (ColumnKind::Place, |row| row.place),
            (ColumnKind::Network, |row| row.network),
            (ColumnKind::Language, |row| row.language),
            (ColumnKind::Status, |row| row.status),
            (ColumnKind::Properties, |row| row.properties),
        ];
        for (field, number) in visits {
            let column = CodedColumn::encode(rows.iter().map(number));
            pack.columns[field as usize] = column;
        }
        let agents = CodedColumn::encode(rows.iter().map(agent));
        let origins = CodedColumn::encode(std::mem::take(&mut self.origins).into_iter());
        let entries = CodedColumn::encode(ranges.iter().map(|range| rows[range.start].page));
        let exits = CodedColumn::encode(ranges.iter().map(|range| rows[range.end - 1].page));
        let columns = [
            (ColumnKind::UserAgent, agents),
            (ColumnKind::Origin, origins),
            (ColumnKind::EntryPage, entries),
            (ColumnKind::ExitPage, exits),
        ];
        for (field, column) in columns {
            pack.columns[field as usize] = column;
        }
        self.blocks.push(pack);
    }
}

/// Sessions last months at most, so that an `i32` suffices.
fn seconds_since(at: i64, start: i64) -> i32 {
    i32::try_from(at - start).unwrap_or(if at < start { i32::MIN } else { i32::MAX })
}
