//! Generates a City database in MaxMind's format: 3 million IPv4 networks, 40 MB.
//!
//! Source of the format: <https://maxmind.github.io/MaxMind-DB/>.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::SeededRandom;

/// About as many networks as commercial databases have.
pub const NETWORK_COUNT: u32 = 3_000_000;
const CITY_COUNT: usize = 88_000;
/// Number of the tree node of `::/96`, the root of the IPv4 addresses.
const IPV4_ROOT_NODE: u32 = 96;

const COUNTRIES: [(&str, &str, &str, &str, &str); 6] = [
    ("GB", "United Kingdom", "EU", "Europe", "Europe/London"),
    (
        "US",
        "United States",
        "NA",
        "North America",
        "America/New_York",
    ),
    ("DE", "Germany", "EU", "Europe", "Europe/Berlin"),
    ("JP", "Japan", "AS", "Asia", "Asia/Tokyo"),
    ("BR", "Brazil", "SA", "South America", "America/Sao_Paulo"),
    ("AU", "Australia", "OC", "Oceania", "Australia/Sydney"),
];

/// Returns the path of the City database in `folder`. Generates the file if it is missing.
#[must_use]
pub fn city_database(folder: &Path) -> PathBuf {
    let path = folder.join("made-up-City-3.mmdb");
    if !path.exists() {
        std::fs::create_dir_all(folder).unwrap();
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, build_database()).unwrap();
        std::fs::rename(&unfinished, &path).unwrap();
    }
    path
}

fn build_database() -> Vec<u8> {
    let mut random = SeededRandom(0x9e0);
    let mut data = DataSection::default();
    let cities: Vec<usize> = (0..CITY_COUNT).map(|n| data.city(n, &mut random)).collect();
    // A binary tree has one inner node less than leaves.
    let count = IPV4_ROOT_NODE + NETWORK_COUNT - 1;
    let mut nodes: Vec<[u32; 2]> = (1..=IPV4_ROOT_NODE).map(|below| [below, count]).collect();
    nodes.resize(count as usize, [count; 2]);
    // Each item: the node to fill, the number of networks below it, and its depth.
    let mut open = vec![(IPV4_ROOT_NODE, NETWORK_COUNT, 0_u32)];
    let mut next = IPV4_ROOT_NODE + 1;
    while let Some((node, networks, depth)) = open.pop() {
        let room = 1_u64 << (31 - depth);
        let left = split_networks(networks, room, &mut random);
        for (side, networks) in [left, networks - left].into_iter().enumerate() {
            nodes[node as usize][side] = if networks == 1 {
                let city = cities[usize::try_from(random.below(CITY_COUNT as u64)).unwrap()];
                count + 16 + u32::try_from(city).unwrap()
            } else {
                open.push((next, networks, depth + 1));
                next += 1;
                next - 1
            };
        }
    }
    let mut file = Vec::with_capacity(42_000_000);
    for [left, right] in nodes {
        // Records have 28 bits: the upper four bits of both share the middle byte.
        file.extend(&left.to_be_bytes()[1..]);
        file.push(u8::try_from((left >> 24) << 4 | right >> 24).unwrap());
        file.extend(&right.to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data.bytes);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(metadata(count));
    file
}

/// Chooses the number of networks on the left side. Each side gets at least one, and at most as
/// many as fit.
fn split_networks(networks: u32, room: u64, random: &mut SeededRandom) -> u32 {
    let least = u64::from(networks).saturating_sub(room).max(1);
    let most = room.min(u64::from(networks) - 1);
    let middle = u64::from(networks) / 2;
    let spread = (middle / 4).max(1);
    let wanted = middle + random.below(2 * spread) - (spread - 1).min(middle);
    u32::try_from(wanted.clamp(least, most)).unwrap()
}

fn metadata(nodes: u32) -> Vec<u8> {
    let mut data = DataSection::default();
    data.map(9);
    data.pair("node_count", |data| data.number(6, nodes.into()));
    data.pair("record_size", |data| data.number(5, 28));
    data.pair("ip_version", |data| data.number(5, 6));
    data.pair("database_type", |data| data.text("made-up-City"));
    data.pair("binary_format_major_version", |data| data.number(5, 2));
    data.pair("binary_format_minor_version", |data| data.number(5, 0));
    data.pair("build_epoch", |data| data.number(9, 1_795_000_000));
    data.pair("languages", |data| {
        data.control(11, 1);
        data.text("en");
    });
    data.pair("description", |data| {
        data.map(1);
        data.pair("en", |data| data.text("made up"));
    });
    // The metadata must not contain pointers into the data section.
    data.bytes
}

/// The data section. Repeated texts are stored as pointers.
#[derive(Default)]
struct DataSection {
    bytes: Vec<u8>,
    offsets: HashMap<String, usize>,
    use_pointers: bool,
}

impl DataSection {
    /// Writes a city and returns its offset.
    fn city(&mut self, number: usize, random: &mut SeededRandom) -> usize {
        self.use_pointers = true;
        let (code, country, continent_code, continent, zone) = COUNTRIES[number % 6];
        let country_at = self.get_or_write(country, |data| {
            data.map(3);
            data.pair("geoname_id", |data| data.number(6, 2_635_167));
            data.pair("iso_code", |data| data.text(code));
            data.pair("names", |data| data.names(country));
        });
        let continent_at = self.get_or_write(continent, |data| {
            data.map(3);
            data.pair("code", |data| data.text(continent_code));
            data.pair("geoname_id", |data| data.number(6, 6_255_148));
            data.pair("names", |data| data.names(continent));
        });
        let region = format!("{code} Region {}", number % 300);
        let region_at = self.get_or_write(&region, |data| {
            data.control(11, 1);
            data.map(2);
            data.pair("iso_code", |data| data.text(&format!("R{}", number % 90)));
            data.pair("names", |data| data.names(&region));
        });
        let at = self.bytes.len();
        self.map(6);
        self.pair("city", |data| {
            data.map(2);
            data.pair("geoname_id", |data| {
                data.number(6, 1_000_000 + number as u64);
            });
            data.pair("names", |data| {
                data.names(&format!("Greater Town {number}"));
            });
        });
        self.pair("continent", |data| data.pointer(continent_at));
        self.pair("country", |data| data.pointer(country_at));
        self.pair("location", |data| {
            data.map(4);
            data.pair("accuracy_radius", |data| data.number(5, 5));
            data.pair("latitude", |data| data.double(random.between(-60.0, 70.0)));
            data.pair("longitude", |data| {
                data.double(random.between(-180.0, 180.0));
            });
            data.pair("time_zone", |data| data.text(zone));
        });
        self.pair("postal", |data| {
            data.map(1);
            data.pair("code", |data| {
                data.text(&format!("{:05}", number % 100_000));
            });
        });
        self.pair("subdivisions", |data| data.pointer(region_at));
        at
    }

    fn names(&mut self, name: &str) {
        let languages = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"];
        self.map(languages.len());
        for language in languages {
            self.pair(language, |data| data.text(name));
        }
    }

    /// Returns the offset of the value for `key`, and writes the value first if it is missing.
    fn get_or_write(&mut self, key: &str, write: impl FnOnce(&mut Self)) -> usize {
        let key = format!("\0{key}");
        if let Some(at) = self.offsets.get(&key) {
            return *at;
        }
        let at = self.bytes.len();
        write(self);
        self.offsets.insert(key, at);
        at
    }

    fn pair(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.text(key);
        value(self);
    }

    fn map(&mut self, pairs: usize) {
        self.control(7, pairs);
    }

    fn text(&mut self, text: &str) {
        if let Some(at) = self.offsets.get(text).copied() {
            return self.pointer(at);
        }
        if self.use_pointers && text.len() > 3 {
            self.offsets.insert(text.to_owned(), self.bytes.len());
        }
        self.control(2, text.len());
        self.bytes.extend(text.as_bytes());
    }

    fn double(&mut self, number: f64) {
        self.control(3, 8);
        self.bytes.extend(number.to_be_bytes());
    }

    /// Writes an unsigned integer. Type 5 has 16 bits, 6 has 32, 9 has 64.
    fn number(&mut self, kind: u8, number: u64) {
        let bytes = number.to_be_bytes();
        let bytes = &bytes[usize::try_from(number.leading_zeros() / 8).unwrap()..];
        self.control(kind, bytes.len());
        self.bytes.extend(bytes);
    }

    /// Writes a pointer of four bytes, which can reach every offset.
    fn pointer(&mut self, to: usize) {
        self.bytes.push(0b0011_1000);
        self.bytes.extend(u32::try_from(to).unwrap().to_be_bytes());
    }

    fn control(&mut self, kind: u8, size: usize) {
        let size = u8::try_from(size).unwrap();
        assert!(size < 29, "sizes above 28 are not supported");
        if kind > 7 {
            self.bytes.extend([size, kind - 7]);
        } else {
            self.bytes.push(kind << 5 | size);
        }
    }
}
