use std::fmt;
use std::str::FromStr;

const MIN_MASKED_CHARS: usize = 5;

/// A phone number in E.164: `+` and 7 to 15 digits, the first of them not 0. `Display` and `Debug`
/// mask the number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a phone number must be in E.164 format, such as +15550100067")]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// The unmasked number, for providers and the database only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhoneNumber)?;
        let good = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        good.then(|| Self(text.to_owned()))
            .ok_or(InvalidPhoneNumber)
    }
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
    use super::*;

    #[test]
    fn only_numbers_in_e164_are_taken() {
        for good in ["+15550100067", "+4930123456", "+123456789012345"] {
            assert_eq!(good.parse::<PhoneNumber>().unwrap().as_str(), good);
        }
        let bad = [
            "",
            "+",
            "15550100067",
            "+05550100067",
            "+1 555 0100067",
            "+123456",
            "+1234567890123456",
            "+1555010006٧",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<PhoneNumber>(), Err(InvalidPhoneNumber), "{bad}");
        }
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
