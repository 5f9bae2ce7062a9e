//! Cleans addresses that people typed or copied.

use std::fmt;

/// A character and its position, for error messages. Positions start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharPosition {
    pub character: char,
    pub position: usize,
}

impl fmt::Display for CharPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            character,
            position,
        } = *self;
        if character.is_ascii_graphic() {
            write!(f, "`{character}`")?;
        } else {
            write!(f, "U+{:04X}", u32::from(character))?;
        }
        write!(f, " at position {position}")
    }
}

/// Characters that are not displayed. Copied texts contain them, such as the marks that phones put
/// around numbers.
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
    )
}

/// Returns the half-width form of a full-width character (U+FF01 to U+FF5E).
#[must_use]
pub fn to_half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Removes invisible characters, and blanks at both ends.
#[must_use]
pub fn trim_invisible(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_named_with_their_position() {
        let shown = |character, position| {
            CharPosition {
                character,
                position,
            }
            .to_string()
        };
        assert_eq!(shown('/', 3), "`/` at position 3");
        assert_eq!(shown('\u{667}', 12), "U+0667 at position 12");
    }

    #[test]
    fn invisible_characters_and_outer_blanks_are_removed() {
        assert_eq!(trim_invisible("\u{202a}\u{a0}a b\u{202c}\u{feff}\n"), "a b");
        assert_eq!(to_half_width('＋'), '+');
        assert_eq!(to_half_width('～'), '~');
    }
}
