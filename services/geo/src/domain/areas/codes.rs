//! Countries, regions and postal codes.

use super::verdict::Verdict;
use crate::domain::countries;

const MAX_POSTAL_CODE_CHARS: usize = 16;

/// An ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Parses the code of an existing country in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        let code = Self(code.map(|letter| letter.to_ascii_uppercase()));
        countries::find(code.as_str()).map(|_| code)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// An ISO 3166-2 code, such as `US-TX`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegionCode {
    pub country: CountryCode,
    /// The part after the hyphen.
    pub code: String,
}

impl RegionCode {
    /// Parses a code such as `US-TX`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (country, code) = text.split_once('-')?;
        Self::from_parts(CountryCode::parse(country)?, code)
    }

    /// Builds the code from the country and the part after the hyphen.
    #[must_use]
    pub fn from_parts(country: CountryCode, code: &str) -> Option<Self> {
        let sound =
            (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        let code = code.to_ascii_uppercase();
        sound.then_some(Self { country, code })
    }
}

/// A postal code. Comparisons ignore case and separators.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PostalCode {
    /// Letters and digits, in upper case.
    text: String,
    /// The length of the first group in bytes.
    first_group_len: usize,
}

impl PostalCode {
    /// Parses groups of letters and digits, separated by spaces or hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-');
        if text.len() > MAX_POSTAL_CODE_CHARS || !text.chars().all(sound) {
            return None;
        }
        let mut groups = text.split([' ', '-']).filter(|group| !group.is_empty());
        let first = groups.next()?.to_ascii_uppercase();
        let head = first.len();
        let text = groups.fold(first, |text, group| text + &group.to_ascii_uppercase());
        Some(Self {
            text,
            first_group_len: head,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The first group.
    pub(super) fn first_group(&self) -> &str {
        &self.text[..self.first_group_len]
    }

    fn is_one_group(&self) -> bool {
        self.first_group_len == self.text.len()
    }

    /// Whether a place with the postal code `known` is in the area of this code. `SW1A` contains
    /// `SW1A 1AA`; whether a place with the code `SW1A` is in `SW1A 1AA` is uncertain.
    pub(super) fn contains(&self, known: &Self) -> Verdict {
        if self.text == known.text || (self.is_one_group() && self.text == known.first_group()) {
            Verdict::Inside
        } else if known.is_one_group() && known.text == self.first_group() {
            Verdict::Uncertain
        } else {
            Verdict::Outside
        }
    }
}

/// A postal code in one country, or in any country.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScopedPostalCode {
    /// `None` means any country.
    pub country: Option<CountryCode>,
    pub code: PostalCode,
}

impl ScopedPostalCode {
    /// Parses `94107` or `US:94107`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (country, code) = match text.split_once(':') {
            Some((country, code)) => (Some(CountryCode::parse(country.trim())?), code),
            None => (None, text),
        };
        let code = PostalCode::parse(code)?;
        Some(Self { country, code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_wrong_ones_refused() {
        assert_eq!(CountryCode::parse("gb").unwrap().as_str(), "GB");
        for wrong in ["", "G", "GBR", "ZZ", "g€", "1A"] {
            assert_eq!(CountryCode::parse(wrong), None, "{wrong}");
        }
        assert_eq!(RegionCode::parse("us-tx").unwrap().code, "TX");
        for wrong in ["US", "US-", "US-TEXAS", "TX", "ZZ-TX", "US-T X", "US-é"] {
            assert_eq!(RegionCode::parse(wrong), None, "{wrong}");
        }
        assert!(
            ScopedPostalCode::parse("PT: 1000-205")
                .unwrap()
                .country
                .is_some()
        );
        for wrong in ["", "-", "US:", "ZZ:1", "12345678901234567", "12/34", "ß"] {
            assert_eq!(ScopedPostalCode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn postal_codes_hold_finer_ones_and_may_hold_coarser_ones() {
        let code = |text| PostalCode::parse(text).unwrap();
        let cases = [
            ("SW1A 1AA", "sw1a1aa", Verdict::Inside),
            ("SW1A", "SW1A 1AA", Verdict::Inside),
            ("SW1A 1AA", "SW1A", Verdict::Uncertain),
            ("94107", "94107-1234", Verdict::Inside),
            ("SW1", "SW1A 1AA", Verdict::Outside),
            ("94107", "94108", Verdict::Outside),
        ];
        for (own, known, answer) in cases {
            assert_eq!(code(own).contains(&code(known)), answer, "{own} {known}");
        }
    }
}
