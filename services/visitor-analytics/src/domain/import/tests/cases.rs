//! Example lines with their results. `test_access_log.py` of the Django package reads the same
//! file.

use super::*;

const CASES: &str = include_str!("../../../../tests/api/access_log_cases.jsonl");

fn cases() -> impl Iterator<Item = Value> {
    CASES.lines().map(|row| serde_json::from_str(row).unwrap())
}

/// Parses the lines of a case as a file. Returns the result of the last line.
fn parse_case(case: &Value) -> Result<ParsedLine, LineParseError> {
    let format = ImportFormat::from_name(case["format"].as_str().unwrap()).unwrap();
    let mut parser = LineParser::new(format, Some("shop.example".into()));
    let mut lines = LineDecoder::default();
    for line in case["lines"].as_array().unwrap() {
        lines.push(line.as_str().unwrap().as_bytes());
        lines.push(b"\n");
    }
    let mut last = None;
    while let Some(DecodedLine::Text(line)) = lines.next_line() {
        last = Some(parser.parse(&line));
    }
    last.unwrap()
}

#[test]
fn example_lines_have_the_expected_results() {
    for case in cases() {
        let about = &case["about"];
        match parse_case(&case) {
            Ok(ParsedLine::Visit(visit)) => {
                let time = visit.timestamp.unwrap();
                let page = json!({
                    "url": visit.url,
                    "ip": visit.ip,
                    "user_agent": visit.user_agent,
                    "referrer": visit.referrer,
                    "user_id": visit.user_id,
                    "status_code": visit.status_code,
                    "timestamp": time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
                });
                assert_eq!(page, case["page"], "{about}");
                assert_eq!(visit.site.as_deref(), Some("shop.example"), "{about}");
            }
            Ok(ParsedLine::Skipped(reason)) => {
                assert_eq!(Some(reason.name()), case["skipped"].as_str(), "{about}");
            }
            Ok(ParsedLine::Exported(visit)) => panic!("{about}: {visit:?}"),
            Err(error) => {
                assert!(case.get("rejected").is_some(), "{about}: {error}");
                assert_eq!(error.field(), case["rejected"].as_str(), "{about}: {error}");
            }
        }
    }
}

#[test]
fn the_format_is_found_from_a_line_that_is_accepted() {
    for case in cases() {
        let format = case["format"].as_str().unwrap();
        if case.get("rejected").is_some() || case["skipped"] == "message" {
            continue;
        }
        let lines = case["lines"].as_array().unwrap();
        let line = lines[0].as_str().unwrap().trim_start_matches('\u{feff}');
        let found = match detect_format(line) {
            Some(DetectedFormat::Format(found)) => found.name(),
            other => panic!("{line}: {other:?}"),
        };
        // The common format is a form of the combined and of Traefik's format.
        let is_found = found == format
            || (["combined", "common"].contains(&found)
                && ["combined", "common", "traefik"].contains(&format));
        assert!(is_found, "{found}: {line}");
    }
    let totals = detect_format("date,visitors,pageviews,visits,bounce_rate");
    assert_eq!(totals, Some(DetectedFormat::DailyTotals));
    assert_eq!(detect_format("nothing of the kind"), None);
}

/// A small generator (xorshift), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn damaged_lines_and_arbitrary_bytes_do_not_panic() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let alphabet: Vec<char> = " \"\\[]:,-\tx\u{fffd}é0%|{}#+\u{0}".chars().collect();
    let cases: Vec<Value> = cases().collect();
    for _ in 0..4_000 {
        let case = &cases[chance.below(cases.len())];
        let lines = case["lines"].as_array().unwrap();
        let last = lines.last().unwrap().as_str().unwrap();
        let mut line: Vec<char> = last.chars().collect();
        for _ in 0..=chance.below(4) {
            let place = chance.below(line.len() + 1);
            let end = (place + chance.below(4)).min(line.len());
            line.splice(place..end, [alphabet[chance.below(alphabet.len())]]);
        }
        let bytes: Vec<u8> = (0..chance.below(80))
            .map(|_| u8::try_from(chance.below(256)).unwrap())
            .collect();
        let damaged: String = line.into_iter().collect();
        for text in [damaged.as_str(), &String::from_utf8_lossy(&bytes)] {
            let _ = detect_format(text);
            for format in IMPORT_FORMATS {
                let mut parser = LineParser::new(format, Some("shop.example".into()));
                for line in &lines[..lines.len() - 1] {
                    let _ = parser.parse(line.as_str().unwrap());
                }
                let _ = parser.parse(text);
                let _ = parser.parse(text);
            }
        }
    }
}

#[test]
fn a_long_line_takes_linear_time() {
    for piece in ["[", "\"", "\\", "1,", "a ", "[]", "\" ", "1.1.1.1 ", "[20/"] {
        let line = piece.repeat(60_000 / piece.len());
        for format in IMPORT_FORMATS {
            let _ = LineParser::new(format, Some("shop.example".into())).parse(&line);
        }
    }
}

const UMAMI: &str = "event_id,website_id,session_id,created_at,url_path,url_query,referrer_path,\
    referrer_query,referrer_domain,page_title,hostname,browser,os,device,country,region,event_type,\
    event_name";

#[test]
fn umami_visits_keep_their_session_and_browser() {
    let mut parser = LineParser::new(ImportFormat::Umami, Some("shop.example".into()));
    assert!(parser.read_header(UMAMI).unwrap());
    let row = "0d6c3b5e-0000-4000-8000-000000000001,w,0d6c3b5e-0000-4000-8000-000000000002,\
        2026-11-20 10:13:55.123+00,/page,x=1,/search,q=a,www.google.com,Title,www.shop.example,\
        chrome,Windows 10,desktop,GB,GB-ENG,1,";
    let Ok(ParsedLine::Exported(visit)) = parser.parse(row) else {
        panic!("{:?}", parser.parse(row));
    };
    let visit = visit.visit;
    assert_eq!(visit.url, "https://www.shop.example/page?x=1");
    assert_eq!(visit.visitor_id, "0d6c3b5e-0000-4000-8000-000000000002");
    assert_eq!(visit.id.to_string(), "0d6c3b5e-0000-4000-8000-000000000001");
    assert_eq!(
        visit.timestamp.to_rfc3339(),
        "2026-11-20T10:13:55.123+00:00"
    );
    assert_eq!(
        visit.referrer.as_deref(),
        Some("https://www.google.com/search?q=a")
    );
    assert_eq!(
        [
            visit.browser,
            visit.os,
            visit.country_code,
            visit.region_code
        ]
        .map(Option::unwrap),
        ["Chrome", "Windows 10", "GB", "ENG"]
    );
    let event = row.replace(",1,", ",2,signup");
    let parsed = parser.parse(&event);
    assert!(matches!(parsed, Ok(ParsedLine::Skipped(SkipReason::Event))));
    let timeless = row.replace("2026-11-20 10:13:55.123+00", "");
    let error = parser.parse(&timeless).unwrap_err();
    assert_eq!(error.field(), Some("created_at"));
}
