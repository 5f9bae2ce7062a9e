use std::fmt;
use std::str::FromStr;

use super::address_text::{CharPosition, is_invisible, to_half_width};

const MIN_DIGITS: usize = 7;
const MAX_DIGITS: usize = 15;
const MIN_MASKED_CHARS: usize = 5;

/// A phone number in E.164: `+` and 7 to 15 digits, the first of them not 0. `Display` and `Debug`
/// mask the number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

/// Why a text is not a phone number. The messages contain at most one character of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    #[error(
        "the phone number has no country code; write it with + and the country code, such as \
         +15550100067"
    )]
    NoCountryCode,
    #[error(
        "the phone number begins with 00, which is not the international prefix everywhere; write \
         + instead, such as +15550100067"
    )]
    DialedPrefix,
    #[error("a country code does not begin with 0; write the number such as +15550100067")]
    ZeroCountryCode,
    #[error("the phone number contains (0); leave it out if it is not dialed from abroad")]
    TrunkPrefix,
    #[error("the phone number has letters ({0}); write digits only, such as +15550100067")]
    Letters(CharPosition),
    #[error("the phone number has an extension ({0}); no text message can reach an extension")]
    Extension(CharPosition),
    #[error(
        "the phone number has an unexpected character ({0}); use digits, blanks, `-`, `.` and \
         brackets, such as +1 (555) 010-0067"
    )]
    Character(CharPosition),
    #[error("the phone number has {0} digits; it must have {MIN_DIGITS} to {MAX_DIGITS}")]
    DigitCount(usize),
}

impl PhoneNumber {
    /// The unmasked number, for providers and the database only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Accepts the number as people write it: with blanks, `-`, `.`, brackets, full-width digits and
/// invisible marks.
impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let written = WrittenNumber::parse(text)?;
        let digits = written.digits;
        if !written.has_plus {
            return Err(if digits.starts_with("00") {
                InvalidPhoneNumber::DialedPrefix
            } else {
                InvalidPhoneNumber::NoCountryCode
            });
        }
        if written.has_trunk_prefix {
            return Err(InvalidPhoneNumber::TrunkPrefix);
        }
        if digits.starts_with('0') {
            return Err(InvalidPhoneNumber::ZeroCountryCode);
        }
        if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) {
            return Err(InvalidPhoneNumber::DigitCount(digits.len()));
        }
        Ok(Self(format!("+{digits}")))
    }
}

/// The parts of a number as it is written.
#[derive(Default)]
struct WrittenNumber {
    has_plus: bool,
    has_trunk_prefix: bool,
    digits: String,
}

impl WrittenNumber {
    fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let mut number = Self::default();
        // Number of digits before the open bracket.
        let mut bracket: Option<usize> = None;
        let mut last_separator = None;
        let visible = text.trim().chars().zip(1..);
        let skipped = text.chars().count() - text.trim_start().chars().count();
        for (original, position) in visible.filter(|(c, _)| !is_invisible(*c)) {
            let at = CharPosition {
                character: original,
                position: position + skipped,
            };
            let unexpected = Err(InvalidPhoneNumber::Character(at));
            match to_half_width(original) {
                digit if digit.is_ascii_digit() => {
                    number.digits.push(digit);
                    last_separator = None;
                }
                '+' if !number.has_plus && number.digits.is_empty() => number.has_plus = true,
                '(' if bracket.is_none() => bracket = Some(number.digits.len()),
                ')' => {
                    let Some(start) = bracket.take() else {
                        return unexpected;
                    };
                    number.has_trunk_prefix |= start > 0 && &number.digits[start..] == "0";
                }
                blank if blank.is_whitespace() => {}
                separator if is_separator(separator) && !number.digits.is_empty() => {
                    last_separator = Some(at);
                }
                'x' | 'X' | '#' | ';' | ',' if !number.digits.is_empty() => {
                    return Err(InvalidPhoneNumber::Extension(at));
                }
                'e' | 'E' if number.digits.len() >= MIN_DIGITS => {
                    return Err(InvalidPhoneNumber::Extension(at));
                }
                letter if letter.is_alphabetic() => return Err(InvalidPhoneNumber::Letters(at)),
                _ => return unexpected,
            }
        }
        match last_separator {
            // The end of the number may be missing.
            Some(at) => Err(InvalidPhoneNumber::Character(at)),
            None => Ok(number),
        }
    }
}

/// Whether the character may stand between digits. Dashes have many forms.
const fn is_separator(c: char) -> bool {
    matches!(
        c,
        '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fb}' | '\u{b7}'
    )
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_phone_number(&self.0))
    }
}

/// Hides the middle of a number.
pub(super) fn mask_phone_number(number: &str) -> String {
    let end = number.len().saturating_sub(2);
    let start = end.saturating_sub(MIN_MASKED_CHARS).min(5);
    format!("{}•••{}", &number[..start], &number[end..])
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidPhoneNumber as Invalid;
    use super::*;

    fn parse(text: &str) -> Result<String, Invalid> {
        text.parse::<PhoneNumber>().map(|number| number.0)
    }

    fn at(character: char, position: usize) -> CharPosition {
        CharPosition {
            character,
            position,
        }
    }

    #[test]
    fn numbers_are_accepted_as_people_write_them() {
        for good in ["+15550100067", "+4930123456", "+123456789012345"] {
            assert_eq!(parse(good).as_deref(), Ok(good));
        }
        for written in [
            "+1 555 010 0067",
            "+1 (555) 010-0067",
            "+1(555)0100067",
            "(+1) 555 010 0067",
            "+1.555.010.0067",
            "+1-555-010-0067",
            " +15550100067\n",
            "+ 1 555 0100067",
            "+1\u{a0}555\u{202f}010\u{2009}0067",
            "+1\u{2011}555\u{2013}010\u{2212}0067",
            "＋１（５５５）０１０－００６７",
            "\u{202a}+15550100067\u{202c}",
            "\u{2066}+1 555 010\u{200b} 0067\u{2069}\u{feff}",
            "\u{200e}+1555\u{2060}0100067\u{200f}",
        ] {
            assert_eq!(parse(written).as_deref(), Ok("+15550100067"), "{written:?}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong_and_where() {
        for (bad, error) in [
            ("", Invalid::NoCountryCode),
            ("+", Invalid::DigitCount(0)),
            ("15550100067", Invalid::NoCountryCode),
            ("555-0100", Invalid::NoCountryCode),
            ("(555) 010-0067", Invalid::NoCountryCode),
            ("0015550100067", Invalid::DialedPrefix),
            ("00 1 555 010 0067", Invalid::DialedPrefix),
            ("+05550100067", Invalid::ZeroCountryCode),
            ("+0015550100067", Invalid::ZeroCountryCode),
            ("+44 (0)20 7946 0018", Invalid::TrunkPrefix),
            ("+123456", Invalid::DigitCount(6)),
            ("+1234567890123456", Invalid::DigitCount(16)),
            ("+1555010006٧", Invalid::Character(at('٧', 12))),
            ("+1555/0100067", Invalid::Character(at('/', 6))),
            ("++15550100067", Invalid::Character(at('+', 2))),
            ("+15550100067+1", Invalid::Character(at('+', 13))),
            ("+1 555) 0100067", Invalid::Character(at(')', 7))),
            ("+15550100067-", Invalid::Character(at('-', 13))),
            (" +1\u{0}5550100067", Invalid::Character(at('\0', 4))),
            ("+1-555-FLOWERS", Invalid::Letters(at('F', 8))),
            ("+1 555 O10 0067", Invalid::Letters(at('O', 8))),
            ("tel+15550100067", Invalid::Letters(at('t', 1))),
            ("+1 555 010 0067 x12", Invalid::Extension(at('x', 17))),
            ("+1 555 010 0067 ext. 12", Invalid::Extension(at('e', 17))),
            ("+15550100067;ext=12", Invalid::Extension(at(';', 13))),
            ("+15550100067#12", Invalid::Extension(at('#', 13))),
        ] {
            assert_eq!(parse(bad), Err(error), "{bad:?}");
            let words = error.to_string();
            assert!(
                !words.contains("555010006٧") && words.len() < 160,
                "{words}"
            );
        }
        let words = Invalid::Character(at('\u{2063}', 3)).to_string();
        assert!(words.contains("U+2063 at position 3"), "{words}");
    }

    #[test]
    fn a_number_shows_itself_masked() {
        let masked = |text: &str| text.parse::<PhoneNumber>().unwrap().to_string();
        assert_eq!(masked("+15550100067"), "+1555•••67");
        assert_eq!(masked("+1234567"), "+•••67");
        let debug = format!("{:?}", "+15550100067".parse::<PhoneNumber>());
        assert_eq!(debug, "Ok(+1555•••67)");
    }
}
