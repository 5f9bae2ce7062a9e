//! The byte format of column blocks: numbers in little-endian order.

use super::{BlockSession, BlockVisitor, CodedColumn, ColumnBlock, ColumnCodes, ColumnKind};

impl ColumnBlock {
    /// Encodes visitors and sessions.
    #[must_use]
    pub fn encode_sessions(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.visitors.len() * 12 + self.sessions.len() * 13);
        put_count(&mut bytes, self.visitors.len());
        for visitor in &self.visitors {
            bytes.extend(visitor.key.to_le_bytes());
            bytes.extend(visitor.sessions.to_le_bytes());
        }
        for session in &self.sessions {
            bytes.extend(session.key.to_le_bytes());
            bytes.extend(session.visits.to_le_bytes());
            bytes.push(session.is_bot.into());
        }
        bytes
    }

    /// Encodes times and durations of the visits.
    #[must_use]
    pub fn encode_times(&self) -> Vec<u8> {
        let at = self.times.iter().flat_map(|at| at.to_le_bytes());
        let seconds = self
            .durations
            .iter()
            .flat_map(|seconds| seconds.to_le_bytes());
        at.chain(seconds).collect()
    }

    /// Encodes a column.
    #[must_use]
    pub fn encode_column(&self, field: ColumnKind) -> Vec<u8> {
        self.column(field).to_bytes()
    }

    /// Encodes a column; `None` if all of its numbers are 0.
    #[must_use]
    pub fn encode_nonempty_column(&self, field: ColumnKind) -> Option<Vec<u8>> {
        let column = self.column(field);
        (column.values != [0]).then(|| column.to_bytes())
    }

    /// Decodes a block; `None` if the bytes are invalid. Columns may be omitted; without the column
    /// of properties, no visit has any.
    #[must_use]
    pub fn decode(
        start: i64,
        runs: &[u8],
        times: &[u8],
        columns: &[(ColumnKind, &[u8])],
    ) -> Option<Self> {
        let (count, rest) = take_count(runs)?;
        let (visitors, sessions) = rest.split_at_checked(count.checked_mul(12)?)?;
        // The check of the sums below fails if the last entry is truncated.
        let visitors: Vec<BlockVisitor> =
            visitors.as_chunks().0.iter().map(decode_visitor).collect();
        let sessions: Vec<BlockSession> =
            sessions.as_chunks().0.iter().map(decode_session).collect();
        let of_visitors: u64 = visitors.iter().map(|v| u64::from(v.sessions)).sum();
        let visits: u64 = sessions.iter().map(|s| u64::from(s.visits)).sum();
        let (at, seconds) = times.split_at_checked(times.len() / 2)?;
        let is_whole = of_visitors == sessions.len() as u64 && visits * 8 == times.len() as u64;
        if !is_whole {
            return None;
        }
        let rows = |field: ColumnKind| {
            if field.is_per_session() {
                sessions.len()
            } else {
                at.len() / 4
            }
        };
        let mut read: [CodedColumn; ColumnKind::STORED.len()] = Default::default();
        read[ColumnKind::Properties as usize] =
            CodedColumn::encode(std::iter::repeat_n(0, at.len() / 4));
        for (field, bytes) in columns {
            let column = CodedColumn::from_bytes(bytes)
                .filter(|column| column.row_count() == rows(*field))?;
            *read.get_mut(*field as usize)? = column;
        }
        Some(Self {
            start,
            times: u32_values(at).map(u32::cast_signed).collect(),
            durations: u32_values(seconds).collect(),
            visitors,
            sessions,
            columns: read,
        })
    }
}

impl CodedColumn {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size_bytes() + 5);
        put_count(&mut bytes, self.values.len());
        bytes.extend(self.values.iter().flat_map(|number| number.to_le_bytes()));
        match &self.codes {
            ColumnCodes::U8(places) => {
                bytes.push(1);
                bytes.extend(places);
            }
            ColumnCodes::U16(places) => {
                bytes.push(2);
                bytes.extend(places.iter().flat_map(|place| place.to_le_bytes()));
            }
            ColumnCodes::U32(places) => {
                bytes.push(4);
                bytes.extend(places.iter().flat_map(|place| place.to_le_bytes()));
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = take_count(bytes)?;
        let (numbers, rest) = rest.split_at_checked(count.checked_mul(4)?)?;
        let numbers: Vec<u32> = u32_values(numbers).collect();
        let (width, rest) = rest.split_first()?;
        let places = match width {
            1 => ColumnCodes::U8(rest.to_vec()),
            2 => {
                let pair = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
                ColumnCodes::U16(rest.chunks_exact(2).map(pair).collect())
            }
            4 => ColumnCodes::U32(u32_values(rest).collect()),
            _ => return None,
        };
        let column = Self {
            values: numbers,
            codes: places,
        };
        let known = column.values.len();
        let is_sound = match &column.codes {
            ColumnCodes::U8(places) => places.iter().all(|place| usize::from(*place) < known),
            ColumnCodes::U16(places) => places.iter().all(|place| usize::from(*place) < known),
            ColumnCodes::U32(places) => places.iter().all(|place| (*place as usize) < known),
        };
        is_sound.then_some(column)
    }

    fn row_count(&self) -> usize {
        match &self.codes {
            ColumnCodes::U8(places) => places.len(),
            ColumnCodes::U16(places) => places.len(),
            ColumnCodes::U32(places) => places.len(),
        }
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a block has fewer than 2^32 entries");
    bytes.extend(count.to_le_bytes());
}

/// Decodes only the distinct numbers of a column; `None` if the bytes are invalid.
#[must_use]
pub fn decode_column_values(bytes: &[u8]) -> Option<Vec<u32>> {
    let (count, rest) = take_count(bytes)?;
    let (numbers, _) = rest.split_at_checked(count.checked_mul(4)?)?;
    Some(u32_values(numbers).collect())
}

fn take_count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*count) as usize, rest))
}

fn u32_values(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let words = bytes.as_chunks().0.iter();
    words.map(|word| u32::from_le_bytes(*word))
}

fn decode_visitor(bytes: &[u8; 12]) -> BlockVisitor {
    let [key @ .., _, _, _, _] = *bytes;
    let [_, _, _, _, _, _, _, _, sessions @ ..] = *bytes;
    BlockVisitor {
        key: u64::from_le_bytes(key),
        sessions: u32::from_le_bytes(sessions),
    }
}

fn decode_session(bytes: &[u8; 13]) -> BlockSession {
    let [key @ .., _, _, _, _, _] = *bytes;
    let [_, _, _, _, _, _, _, _, visits @ .., is_bot] = *bytes;
    BlockSession {
        key: u64::from_le_bytes(key),
        visits: u32::from_le_bytes(visits),
        is_bot: is_bot != 0,
    }
}
