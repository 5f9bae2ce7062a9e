use super::*;
use crate::column_block::{BlockBuilder, BlockRow};

fn way(pages: &[ValueId], goes_on: bool) -> PathKey {
    let mut way = [NO_VALUE; MAX_PATH_DEPTH];
    way[..pages.len()].copy_from_slice(pages);
    (way, goes_on)
}

fn ways(counts: &[(&[ValueId], bool, i64)]) -> PathCounts {
    let mut ways = PathCounts::default();
    for (pages, goes_on, sessions) in counts {
        ways.add_path(way(pages, *goes_on), *sessions);
    }
    ways
}

#[test]
fn ways_are_cut_at_their_depth() {
    let pages = first_pages([7, 7, 8, 7, 7].into_iter());
    assert_eq!(pages, [7, 8, 7, 0, 0, 0]);
    assert_eq!(truncate_path(&pages, 2), way(&[7, 8], true));
    assert_eq!(truncate_path(&pages, 3), way(&[7, 8, 7], false));
    let pages = first_pages(1..9);
    assert_eq!(truncate_path(&pages, 5), way(&[1, 2, 3, 4, 5], true));
}

#[test]
fn bytes_come_back_and_others_do_not() {
    let people = ways(&[(&[300, 2, 300, 70_000, 1], true, 9), (&[2], false, 400)]);
    let bots = ways(&[(&[1], false, 1)]);
    let bytes = PathCounts::encode([&people, &bots], 10);
    let mut read = PathCounts::default();
    read.add_encoded(&bytes, Some(false)).unwrap();
    assert_eq!((read.counts, read.sessions), (people.counts.clone(), 409));
    let mut all = PathCounts::default();
    all.add_encoded(&bytes, None).unwrap();
    assert_eq!((all.counts.len(), all.sessions), (3, 410));
    for length in 0..bytes.len() {
        let cut = PathCounts::default().add_encoded(&bytes[..length], None);
        // An encoding may end after any entry.
        assert!(cut.is_none() || length + 3 >= bytes.len(), "{length}");
    }
    // Six pages.
    assert_eq!(
        PathCounts::default().add_encoded(&[10, 1, 1, 12, 1, 1, 1, 1, 1, 1], None),
        None
    );
}

#[test]
fn the_rarest_ways_are_only_counted() {
    let all = ways(&[(&[1], false, 5), (&[2], false, 3), (&[3], true, 4)]);
    let bytes = PathCounts::encode([&all, &PathCounts::default()], 2);
    let mut read = PathCounts::default();
    read.add_encoded(&bytes, None).unwrap();
    let first = [(way(&[1], false), 5), (way(&[3], true), 4)];
    assert_eq!((read.most_frequent(9), read.sessions), (first.to_vec(), 12));
    assert_eq!(read.most_frequent(1), first[..1]);
    let mut named = PathCounts::default();
    named.add_translated(&read, &HashMap::from([(1, 11), (3, 13)]));
    assert_eq!(
        (named.most_frequent(1)[0].0, named.sessions),
        (way(&[11], false), 12)
    );
}

#[test]
fn what_lies_beside_pages_comes_back() {
    // One visitor with a session from page 5 to page 300 and back to page 5.
    let mut packer = BlockBuilder::new(0);
    for (at, page) in [(10, 5), (11, 5), (20, 300), (30, 5)] {
        let row = BlockRow {
            timestamp: at,
            page,
            ..BlockRow::default()
        };
        packer.add("a", uuid::Uuid::nil(), row, |_| 1);
    }
    let packs: Vec<_> = packer.finish().into_iter().map(Arc::new).collect();
    let day = adjacent_pages::encode_day(&packs, &(0..25), |page| page);
    let mut five = AdjacentPages::default();
    five.add_encoded(&day, None, |page| page == 5).unwrap();
    assert_eq!(
        five.visits, 1,
        "the other visit is after the end of the day"
    );
    assert_eq!(five.before, HashMap::from([(NO_VALUE, 1)]));
    assert_eq!(five.after, HashMap::from([(300, 1)]));
    let bytes = adjacent_pages::sum_days(&[day.clone(), day.clone()]).unwrap();
    let mut twice = AdjacentPages::default();
    twice.add_encoded(&bytes, Some(false), |_| true).unwrap();
    assert_eq!(twice.visits, 4);
    assert_eq!(twice.after, HashMap::from([(300, 2), (5, 2)]));
    let mut met = vec![];
    adjacent_pages::for_each_page(&bytes, |page| met.push(page)).unwrap();
    assert_eq!(met, [5, 300]);
    let mut none = AdjacentPages::default();
    none.add_encoded(&bytes, Some(true), |_| true).unwrap();
    assert_eq!(none.visits, 0);
    for length in 1..bytes.len() {
        let cut = AdjacentPages::default().add_encoded(&bytes[..length], None, |_| true);
        assert!(cut.is_none() || length + 8 > bytes.len(), "{length}");
    }
    assert_eq!(encode_day(&packs, &(0..25), |page| page)[0].len(), 6);
}
