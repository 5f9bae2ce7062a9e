//! Damage: whatever the bytes are, a database is refused or answers; nothing crashes or hangs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use common::geo::Location;
use geo::app::Locator;
use geo::clients::LocalDatabases;
use geo::domain::Language;

use crate::support::database;

/// Marsaglia's xorshift: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    match dice.below(6) {
        0 => bytes.truncate(dice.below(bytes.len())),
        1 => {
            // The metadata is where one byte changes the most.
            let tail = bytes.len().min(300);
            let at = bytes.len() - 1 - dice.below(tail);
            bytes[at] = dice.next().to_le_bytes()[0];
        }
        2 => {
            let (from, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
            let length = dice.below(64).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        3 => {
            for _ in 0..=dice.below(8) {
                let at = dice.below(bytes.len());
                bytes[at] = dice.next().to_le_bytes()[0];
            }
        }
        // One bit: what a reader is likeliest to take.
        _ => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
    }
}

async fn ask(file: &Path, addresses: &[String]) -> Option<usize> {
    let nowhere = Path::new("nowhere");
    let (databases, _) = LocalDatabases::open(&[file.to_owned()], nowhere).ok()?;
    let locator = Locator::new(databases, None, None, common::clock::Clock::system());
    let mut answered = 0;
    for language in [Language::English, Language::Japanese] {
        let found = locator.locate_many(addresses, language).await;
        let found: Vec<Box<Location>> = found.into_iter().flatten().collect();
        for location in &found {
            let point = location.latitude.zip(location.longitude);
            assert!(point.is_none_or(|(y, x)| y.abs() <= 90.0 && x.abs() <= 180.0));
        }
        answered += found.len();
    }
    Some(answered)
}

#[tokio::test]
async fn damaged_databases_are_refused_or_answer() {
    let names = [
        "GeoIP2-City-Test.mmdb",
        "GeoIP2-Enterprise-Test.mmdb",
        "GeoLite2-ASN-Test.mmdb",
        "GeoIP-Anonymous-Plus-Test.mmdb",
        "flat-dbip-city-ipv4.mmdb",
        "flat-ipinfo-lite.mmdb",
    ];
    let originals: Vec<_> = names
        .iter()
        .map(|name| std::fs::read(database(name)).unwrap())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mmdb");
    let mut dice = Dice(0x5eed_0fda_3a6e_d42b);
    let addresses: Vec<String> = (0..60u32)
        .map(|index| {
            let [a, b, c, d] = dice.next().to_le_bytes()[..4].try_into().unwrap();
            let ip: IpAddr = match index % 3 {
                0 => Ipv4Addr::new(a, b, c, d).into(),
                1 => Ipv6Addr::new(0x2a02, 0xd000 | u16::from(a), 0, 0, 0, 0, 0, 1).into(),
                _ => Ipv4Addr::new([81, 89, 1, 2][usize::from(a % 4)], b % 4, c, d).into(),
            };
            ip.to_string()
        })
        .collect();
    let (mut refused, mut answering) = (0, 0);
    for round in 0..600 {
        let mut bytes = originals[round % originals.len()].clone();
        damage(&mut bytes, &mut dice);
        std::fs::write(&file, &bytes).unwrap();
        match ask(&file, &addresses).await {
            None => refused += 1,
            Some(_) => answering += 1,
        }
    }
    assert!(refused > 100 && answering > 50, "{refused} {answering}");
}
