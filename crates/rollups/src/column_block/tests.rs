use uuid::Uuid;

use super::*;

fn row(at: i64, page: u32) -> BlockRow {
    BlockRow {
        timestamp: at,
        is_bot: page == 9,
        page,
        origin: page + 1,
        agent: 3,
        verdict: 1,
        place: 0,
        network: 0,
        language: 2,
        status: 200,
        properties: 0,
    }
}

fn pack(rows: u32) -> ColumnBlock {
    let mut packer = BlockBuilder::new(1_000);
    for number in 0..rows {
        let (visitor, session) = (number / 7, number / 3);
        let name = format!("v{visitor:05}");
        let id = Uuid::from_u128((u128::from(visitor) << 32) + u128::from(session));
        let row = row(990 + i64::from(number), number % 700);
        packer.add(&name, id, row, |name| {
            name.len() as u64 + u64::from(visitor)
        });
    }
    let mut packs = packer.finish();
    assert_eq!(packs.len(), 1);
    packs.remove(0)
}

#[test]
fn a_pack_tells_what_was_put_in() {
    let pack = pack(21);
    let runs: Vec<_> = pack.session_rows().collect();
    assert_eq!(pack.visitors.len(), 3);
    assert_eq!(runs.iter().filter(|run| run.is_first_of_visitor).count(), 3);
    let pages: Vec<u32> = (0..21)
        .map(|row| pack.column(ColumnKind::Page).value(row))
        .collect();
    assert_eq!(pages, (0..21).collect::<Vec<u32>>());
    // The first session has rows 0 to 2; durations do not span sessions.
    assert_eq!(runs[0].visits, 0..3);
    assert_eq!(&pack.durations[..4], [1, 1, 0, 1]);
    assert_eq!(pack.times[0], -10);
    let number = |field, row| pack.column(field).value(row);
    assert_eq!(
        [
            number(ColumnKind::EntryPage, 0),
            number(ColumnKind::ExitPage, 0)
        ],
        [0, 2]
    );
    assert_eq!(number(ColumnKind::Origin, 1), 4);
    assert_eq!(number(ColumnKind::UserAgent, 9), 3 | BOT_FLAG);
    assert!(runs.iter().any(|run| run.session.is_bot));
}

#[test]
fn a_pack_survives_its_bytes_and_damage_is_told() {
    for rows in [1, 300, 2_000] {
        let pack = pack(rows);
        let columns: Vec<_> = ColumnKind::STORED
            .map(|field| (field, pack.encode_column(field)))
            .into();
        let columns: Vec<_> = columns.iter().map(|(f, bytes)| (*f, &bytes[..])).collect();
        let (runs, times) = (pack.encode_sessions(), pack.encode_times());
        let read = |runs: &[u8], times: &[u8]| ColumnBlock::decode(1_000, runs, times, &columns);
        assert_eq!(read(&runs, &times).as_ref(), Some(&pack));
        assert_eq!(read(&runs[..runs.len() - 13], &times), None);
        assert_eq!(read(&runs, &times[8..]), None);
        assert_eq!(read(&[], &[]), None);
        let broken = [(ColumnKind::Page, &columns[0].1[1..])];
        assert_eq!(ColumnBlock::decode(1_000, &runs, &times, &broken), None);
    }
}

#[test]
fn parts_of_hours_are_computed() {
    let pack = pack(5);
    let minutes = pack.computed_column(60);
    let minutes: Vec<u32> = (0..5).map(|row| minutes.value(row)).collect();
    assert_eq!(minutes, [16; 5]);
    assert_eq!(pack.computed_column(900).values, [1]);
}
