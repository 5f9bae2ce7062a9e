//! Names, continents and EU membership of countries (see `data/README.md`).

use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// Two letters.
    pub continent_code: &'static str,
    /// In English.
    pub name: &'static str,
    pub is_in_european_union: bool,
}

/// One line per country, sorted by code: code, continent, `1` for EU members, name.
const COUNTRY_TABLE: &str = include_str!("../../data/countries.tsv");

/// Parsed once, because every location from a flat database needs the table.
static COUNTRIES: LazyLock<Vec<(&str, Country)>> =
    LazyLock::new(|| COUNTRY_TABLE.lines().filter_map(parse_line).collect());

/// Finds a country by its ISO 3166-1 alpha-2 code.
#[must_use]
pub fn find(code: &str) -> Option<Country> {
    let found = COUNTRIES.binary_search_by_key(&code, |(code, _)| code);
    Some(COUNTRIES[found.ok()?].1)
}

fn parse_line(line: &'static str) -> Option<(&'static str, Country)> {
    let mut columns = line.split('\t');
    let code = columns.next()?;
    let country = Country {
        continent_code: columns.next()?,
        is_in_european_union: columns.next()? == "1",
        name: columns.next()?,
    };
    Some((code, country))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_union_has_27_members_and_every_line_can_be_read() {
        let codes = COUNTRY_TABLE.lines().map(|line| &line[..2]);
        let countries: Vec<_> = codes.filter_map(find).collect();
        assert_eq!(countries.len(), COUNTRY_TABLE.lines().count());
        let members = countries.iter().filter(|c| c.is_in_european_union);
        assert_eq!(members.count(), 27);
        assert_eq!(find("GB").unwrap().name, "United Kingdom");
        assert_eq!(find("??"), None);
    }
}
