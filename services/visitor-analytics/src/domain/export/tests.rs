use std::collections::BTreeSet;

use serde_json::json;

use super::columns::EXPORT_COLUMNS;
use super::*;

fn exported(title: &str) -> ExportedVisit {
    let all = json!({
        "id": "019a0000-0000-7000-8000-000000000001", "site": "shop.example",
        "timestamp": "2026-11-20T23:30:00.5Z", "received_at": "2026-11-20T23:30:01Z",
        "url": "https://shop.example/a,b?x=\"y\"", "path": "/a,b", "source": "-x",
        "medium": "organic", "method": "GET", "visitor_id": "v", "title": title,
        "session_id": "019a0000-0000-7000-8000-000000000002", "device_type": "desktop",
        "longitude": -0.5, "is_bot": false, "bot_score": 15, "bot_reasons": ["a", "b"],
        "ruleset": 2, "properties": {"plan": "a, \"b\"\nc;=1", "=2": ",@3"}, "status_code": 404,
        "user_agent": "Mozilla/5.0 (X11)",
    });
    serde_json::from_value(all).unwrap()
}

#[test]
fn every_field_has_its_column() {
    let fields = to_fields(&exported("")).unwrap();
    let fields: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    let columns: BTreeSet<&str> = EXPORT_COLUMNS.iter().map(|(name, _)| *name).collect();
    assert_eq!(fields, columns);
    assert_eq!(columns.len(), EXPORT_COLUMNS.len());
}

#[test]
fn no_cell_is_a_formula_and_each_is_read_as_it_was() {
    for title in [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "'quoted'",
        "'=1",
        "plain",
        "a,b",
        "\"",
        "",
        "ü\"=",
        "a;=1+1",
        "a, +1",
        "＝1＋1",
        "＠SUM(A1)",
        "a\t－1",
        " =1",
        "a;'b",
        "\u{feff}=1",
    ] {
        let mut text = String::new();
        csv::write_record(&mut text, &to_fields(&exported(title)).unwrap());
        assert_eq!(text.matches('\n').count(), 1, "{title}");
        let values = csv::parse_record(&text).unwrap();
        let value = |name| {
            let place = EXPORT_COLUMNS
                .iter()
                .position(|(column, _)| *column == name);
            values[place.unwrap()].as_str()
        };
        assert_eq!(value("title"), title);
        assert_eq!(value("url"), "https://shop.example/a,b?x=\"y\"");
        assert_eq!(value("source"), "-x");
        assert_eq!(value("bot_reasons"), "a b");
        // Whichever separator a program uses, no piece is a formula; the longitude is a number.
        for separator in [",", ";", "\t"] {
            let pieces = text
                .split(separator)
                .map(|piece| piece.trim_matches(['"', ' ', '\u{feff}']));
            let mut formulas = pieces.filter(|piece| {
                piece.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && *piece != "-0.5"
            });
            assert_eq!(formulas.next(), None, "{text}");
        }
    }
    assert_eq!(csv::parse_record("a,\"b"), None);
    assert_eq!(csv::parse_record("a,\"b\"c"), None);
    assert_eq!(csv::parse_record(",,").unwrap(), ["", "", ""]);
}

#[test]
fn parquet_is_written_group_by_group() {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    let mut writer = ExportWriter::new(ExportFormat::Parquet, false).unwrap();
    let mut file = writer.write(&[exported("a"), exported("b")]).unwrap();
    file.extend(writer.write(&[exported("c")]).unwrap());
    file.extend(writer.finish().unwrap());
    let mut stored = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut stored, &file).unwrap();
    let reader = SerializedFileReader::new(stored).unwrap();
    assert_eq!(reader.num_row_groups(), 2);
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 3);
    let text = rows[2].to_string();
    assert!(text.contains("title: \"c\""), "{text}");
    assert!(text.contains("timestamp: 2026-11-20 23:30:00.5"), "{text}");
    assert!(text.contains("latitude: null, longitude: -5E-1"), "{text}");
}

#[test]
fn a_file_of_nothing_is_a_file() {
    let whole = |format| ExportWriter::new(format, false).unwrap().finish().unwrap();
    assert!(whole(ExportFormat::Csv).starts_with(b"id,site,timestamp,"));
    assert_eq!(whole(ExportFormat::Ndjson), b"");
    assert!(whole(ExportFormat::Parquet).ends_with(b"PAR1"));
}
