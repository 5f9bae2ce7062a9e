mod cases;

use chrono::DateTime;
use serde_json::{Value, json};

use super::format::IMPORT_FORMATS;
use super::*;

fn read(line: &str) -> Result<ParsedLine, LineParseError> {
    LineParser::new(ImportFormat::Combined, Some("shop.example".into())).parse(line)
}

const LINE: &str = r#"81.2.69.142 - anna [20/Nov/2026:13:00:00 +0100] "GET /a?x=1 HTTP/1.1" 200 512 "https://www.google.com/" "Mozilla/5.0 \"X\" \\ \x41""#;

#[test]
fn a_line_of_an_access_log_is_a_visit() {
    let Ok(ParsedLine::Visit(visit)) = read(LINE) else {
        panic!("{:?}", read(LINE));
    };
    assert_eq!(visit.url, "https://shop.example/a?x=1");
    assert_eq!(visit.ip, "81.2.69.142");
    assert_eq!(
        visit.timestamp.unwrap().to_rfc3339(),
        "2026-11-20T12:00:00+00:00"
    );
    assert_eq!(visit.user_agent.as_deref(), Some("Mozilla/5.0 \"X\" \\ A"));
    assert_eq!(visit.referrer.as_deref(), Some("https://www.google.com/"));
    assert_eq!(visit.user_id.as_deref(), Some("anna"));
    assert_eq!(visit.status_code, Some(200));
}

#[test]
fn what_is_no_page_view_is_skipped() {
    for (from, to) in [
        ("GET /a?x=1", "POST /a"),
        ("GET /a?x=1", "GET /style.css?v=2"),
        ("GET /a?x=1", "GET /Logo.PNG"),
        ("GET /a?x=1", "GET ftp://other.example/"),
        ("200 512", "301 -"),
    ] {
        let line = LINE.replace(from, to);
        assert!(matches!(read(&line), Ok(ParsedLine::Skipped(_))), "{line}");
    }
    assert!(matches!(read("  "), Ok(ParsedLine::Skipped(_))));
    let fresh = LINE.replace("200 512", "304 -");
    assert!(matches!(read(&fresh), Ok(ParsedLine::Visit(_))));
    for end in 0..LINE.len() {
        // A truncated line does not panic.
        let _ = read(&LINE[..end]);
    }
    assert!(matches!(
        read("nonsense"),
        Err(LineParseError::InvalidLogLine("combined"))
    ));
    assert!(matches!(
        read(&LINE.replace("20/Nov", "32/Nov")),
        Err(LineParseError::InvalidTime)
    ));
}

#[test]
fn lines_are_found_wherever_a_file_is_cut() {
    let long = "x".repeat(MAX_LINE_BYTES + 1);
    let file = format!("a\r\n\nb\n{long}\nc\nlast");
    let text = |text: &str| DecodedLine::Text(text.to_owned());
    let expected = [
        text("a"),
        text(""),
        text("b"),
        DecodedLine::Unreadable,
        text("c"),
    ];
    for size in [1, 2, 7, 1_000, 70_000] {
        let mut lines = LineDecoder::default();
        let mut found = vec![];
        for piece in file.as_bytes().chunks(size) {
            lines.push(piece);
            while let Some(line) = lines.next_line() {
                found.push(line);
            }
        }
        assert_eq!(found, expected, "{size}");
        assert_eq!(lines.finish(), Some(text("last")));
    }
    let mut lines = LineDecoder::default();
    lines.push(b"\xff\n");
    assert_eq!(lines.next_line(), Some(DecodedLine::Unreadable));
    assert_eq!(lines.finish(), None);
    for size in [1, 2, 100] {
        let mut lines = LineDecoder::default();
        let mut found = vec![];
        for piece in "\u{feff}a\n\u{feff}b\n".as_bytes().chunks(size) {
            lines.push(piece);
            while let Some(line) = lines.next_line() {
                found.push(line);
            }
        }
        assert_eq!(found, [text("a"), text("\u{feff}b")]);
    }
}

#[test]
fn ids_are_the_same_each_time_and_differ_line_by_line() {
    let import = derive_import_id(ImportFormat::Combined, Some("shop.example"), &["a".into()]);
    assert_eq!(
        import,
        derive_import_id(ImportFormat::Combined, Some("shop.example"), &["a".into()])
    );
    assert_ne!(
        import,
        derive_import_id(ImportFormat::Combined, Some("b.example"), &["a".into()])
    );
    let at = DateTime::from_timestamp(1_795_176_000, 0).unwrap();
    let id = derive_visit_id(import, 1, "a", at);
    assert_eq!(id, derive_visit_id(import, 1, "a", at));
    assert_ne!(id, derive_visit_id(import, 2, "a", at));
    assert_ne!(id, derive_visit_id(import, 1, "b", at));
    assert_eq!(common::clock::timestamp_of(id), Some(at));
}

#[test]
fn what_is_wrong_with_json_is_said_without_its_values() {
    let mut reader = LineParser::new(ImportFormat::Ndjson, None);
    let message = |line: &str, reader: &mut LineParser| reader.parse(line).unwrap_err().to_string();
    assert_eq!(
        message("{\"url\": \"x\", \"user_agent\": null}", &mut reader),
        "the field ip is missing"
    );
    assert_eq!(
        message("secret", &mut reader),
        "the line is not a JSON object"
    );
    let wrong = message(
        "{\"url\": \"x\", \"ip\": {\"a\": \"secret\"}, \"user_agent\": \"\"}",
        &mut reader,
    );
    assert!(!wrong.contains("secret"), "{wrong}");
}
