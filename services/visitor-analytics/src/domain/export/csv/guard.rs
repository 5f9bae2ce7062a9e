//! Guards against formulas in spreadsheet programs.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

const GUARD: char = '\'';

/// Characters that begin a formula; programs for East Asian languages also accept full-width signs.
const FORMULA_SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Separators of cells, which depend on the locale or on a setting.
const SEPARATORS: [char; 3] = [';', ',', '\t'];

/// Inserts a guard wherever a program could detect the beginning of a formula.
pub fn add_guards(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 1);
    for cell in text.split_inclusive(SEPARATORS) {
        if needs_guard(cell) {
            guarded.push(GUARD);
        }
        guarded.push_str(cell);
    }
    guarded
}

/// Removes the guards of [`add()`].
pub fn remove_guards(text: &str) -> String {
    let cells = text.split_inclusive(SEPARATORS);
    cells
        .map(|cell| match cell.strip_prefix(GUARD) {
            Some(bare) if needs_guard(bare) => bare,
            _ => cell,
        })
        .collect()
}

/// Is true for every cell that begins with a guard, so that [`remove()`] reverses [`add()`].
fn needs_guard(cell: &str) -> bool {
    let visible = cell.trim_start_matches(is_blank);
    cell.starts_with(['\t', '\r'])
        || visible.starts_with(GUARD)
        || visible.starts_with(FORMULA_SIGNS)
}

/// Characters that programs may trim.
fn is_blank(char: char) -> bool {
    char.is_whitespace()
        || char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// Serializes JSON, with escapes wherever a program could detect the beginning of a formula.
pub fn to_guarded_json(value: &Value) -> String {
    let mut bytes = vec![];
    let mut serializer = Serializer::with_formatter(&mut bytes, GuardedFormatter);
    // Neither writing to memory nor serializing a JSON value can fail.
    let _ = value.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

struct GuardedFormatter;

impl Formatter for GuardedFormatter {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for cell in fragment.split_inclusive(SEPARATORS) {
            let visible = cell.trim_start_matches(is_blank);
            let sign = visible.chars().next().filter(|_| needs_guard(cell));
            let Some(sign) = sign else {
                writer.write_all(cell.as_bytes())?;
                continue;
            };
            let blanks = &cell[..cell.len() - visible.len()];
            let rest = &visible[sign.len_utf8()..];
            write!(writer, "{blanks}\\u{:04x}{rest}", u32::from(sign))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// All texts of up to five of these characters.
    fn texts() -> Vec<String> {
        let alphabet = [
            "", "'", "=", "-", "＠", ";", ",", "\t", " ", "\u{feff}", "a",
        ];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer = |text: &String| alphabet.map(|char| format!("{text}{char}"));
            texts = texts.iter().flat_map(longer).collect();
            texts.sort();
            texts.dedup();
        }
        texts
    }

    fn has_formula(text: &str) -> bool {
        let mut cells = text.split(SEPARATORS);
        cells.any(|cell| cell.trim_start_matches(is_blank).starts_with(FORMULA_SIGNS))
    }

    #[test]
    fn guards_hide_every_formula_and_are_removed_again() {
        for text in texts() {
            let guarded = add_guards(&text);
            assert!(!has_formula(&guarded), "{text:?} became {guarded:?}");
            assert_eq!(remove_guards(&guarded), text, "{guarded:?}");
            assert!(guarded == text || needs_guard(&text) || text.contains(SEPARATORS));
        }
    }

    #[test]
    fn json_stays_json_and_has_no_guard_to_remove() {
        for text in texts() {
            let value = json!({ text.clone(): [text, -1] });
            let written = to_guarded_json(&value);
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
            assert_eq!(remove_guards(&written), written);
            let harmless = written.replace(",-1]", ",1]");
            assert!(!has_formula(&harmless), "{written}");
        }
    }

    #[test]
    fn what_others_wrote_keeps_its_quotes() {
        for text in ["'quoted'", "rock, 'n' roll", "a,'b'"] {
            assert_eq!(remove_guards(text), text);
        }
        assert_eq!(remove_guards("'=1;'+2,''a"), "=1;+2,'a");
    }
}
