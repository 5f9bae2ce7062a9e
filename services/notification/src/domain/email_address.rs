//! Email addresses.

use std::str::FromStr;

use super::address_text::{CharPosition, is_invisible, to_half_width};

/// RFC 5321 §4.5.3.1 and its erratum 1690.
const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

/// `local@domain` in ASCII, without quotes and comments. An internationalized domain is in its
/// encoded form, and the domain is in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// Why a text is not an email address. The messages contain at most one character of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmailAddress {
    #[error("the email address has an unexpected character ({0})")]
    Character(CharPosition),
    #[error(
        "the part before @ must have 1 to {MAX_LOCAL_BYTES} characters and no dot at its ends and \
         beside another dot"
    )]
    LocalPart,
    #[error("the part after @ is not a valid domain, such as example.com")]
    Domain,
    #[error("the email address must have at most {MAX_BYTES} bytes")]
    TooLong,
}

impl EmailAddress {
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        let skipped = text.chars().count() - text.trim_start().chars().count();
        let visible = text.trim().chars().zip(skipped + 1..);
        let visible: Vec<(char, usize)> = visible.filter(|(c, _)| !is_invisible(*c)).collect();
        let at_sign = visible.iter().rposition(|(c, _)| to_half_width(*c) == '@');
        let at_sign = at_sign.ok_or(InvalidEmailAddress::Domain)?;
        let (local, domain) = visible.split_at(at_sign);
        let local = parse_local_part(local)?;
        let domain = parse_domain(&domain[1..])?;
        let address = format!("{local}@{domain}");
        if address.len() > MAX_BYTES {
            return Err(InvalidEmailAddress::TooLong);
        }
        Ok(Self(address))
    }
}

fn parse_local_part(written: &[(char, usize)]) -> Result<String, InvalidEmailAddress> {
    let known = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let mut local = String::new();
    for (original, position) in written.iter().copied() {
        let c = to_half_width(original);
        if !known(c) {
            return Err(unexpected(original, position));
        }
        local.push(c);
    }
    let has_words = local.split('.').all(|word| !word.is_empty());
    let is_valid = has_words && local.len() <= MAX_LOCAL_BYTES;
    is_valid
        .then_some(local)
        .ok_or(InvalidEmailAddress::LocalPart)
}

fn parse_domain(written: &[(char, usize)]) -> Result<String, InvalidEmailAddress> {
    for (original, position) in written.iter().copied() {
        let c = to_half_width(original);
        if c.is_whitespace() || c.is_ascii() && !c.is_ascii_alphanumeric() && !"-.".contains(c) {
            return Err(unexpected(original, position));
        }
    }
    let domain: String = written.iter().map(|(c, _)| c).collect();
    to_ascii_domain(&domain).ok_or(InvalidEmailAddress::Domain)
}

fn unexpected(character: char, position: usize) -> InvalidEmailAddress {
    InvalidEmailAddress::Character(CharPosition {
        character,
        position,
    })
}

/// Encodes an internationalized domain (UTS 46) and checks its labels. The result is in lower case.
#[must_use]
pub fn to_ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let label = |word: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&word.len())
            && word.bytes().all(known)
            && !word.starts_with('-')
            && !word.ends_with('-')
    };
    ascii.split('.').all(label).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, InvalidEmailAddress> {
        text.parse::<EmailAddress>().map(EmailAddress::into_string)
    }

    #[test]
    fn addresses_are_normalized() {
        for (written, normal) in [
            ("ann.b@example.com", "ann.b@example.com"),
            (" Ann@Example.COM\n", "Ann@example.com"),
            (
                "\u{202a}ann@exa\u{200b}mple.com\u{202c}\u{feff}",
                "ann@example.com",
            ),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
            ("ann@例え。テスト", "ann@xn--r8jz45g.xn--zckzah"),
            ("ann＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann@example.com"),
            ("o'hara+tag@localhost", "o'hara+tag@localhost"),
        ] {
            assert_eq!(parse(written).as_deref(), Ok(normal), "{written:?}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong_and_where() {
        use InvalidEmailAddress as Invalid;
        let character = |character, position| {
            Invalid::Character(CharPosition {
                character,
                position,
            })
        };
        for (bad, error) in [
            ("@example.com", Invalid::LocalPart),
            ("a..b@example.com", Invalid::LocalPart),
            (".a@example.com", Invalid::LocalPart),
            ("ann@", Invalid::Domain),
            ("ann@-example.com", Invalid::Domain),
            ("ann@example..com", Invalid::Domain),
            ("ann@xn--\u{e9}.com", Invalid::Domain),
            ("a b@example.com", character(' ', 2)),
            ("änn@example.com", character('ä', 1)),
            ("a@b@example.com", character('@', 2)),
            ("Ann <ann@example.com>", character(' ', 4)),
            ("ann@example.com>", character('>', 16)),
            (" ann@exam ple.com", character(' ', 10)),
            ("ann@exam\u{0}ple.com", character('\0', 9)),
            ("ann@example_1.com", character('_', 12)),
        ] {
            assert_eq!(parse(bad), Err(error), "{bad:?}");
        }
        let long = format!("{}@{}.example", "a".repeat(64), "b.".repeat(95));
        assert!(parse(&long).is_err());
    }
}
