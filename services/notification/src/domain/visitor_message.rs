//! The default message about a visitor: plain characters, at most two SMS segments.

use std::borrow::Cow;

use common::readable_url::{readable_host, readable_path};
use serde_json::{Map, Value};

use super::truncate::truncate_chars;

/// Two segments of GSM-7.
pub const MAX_MESSAGE_CHARS: usize = 306;

/// Formats the message about a `visitor.arrived` with this `data`. Missing fields are omitted.
#[must_use]
pub fn format_visitor_message(data: &Map<String, Value>) -> String {
    let visit = JsonFields(data.get("visit"));
    let visitor = JsonFields(data.get("visitor"));
    let lines = [
        Some(headline(&visit, &visitor)),
        visit
            .readable("path", 60, readable_path)
            .map(|path| format!("Page: {path}")),
        visit
            .text("source_name", 30)
            .or_else(|| visit.text("source", 30))
            .map(|source| format!("From: {}", source_label(&source))),
        visitor_line(&visit, &visitor),
    ];
    let lines: Vec<_> = lines.into_iter().flatten().collect();
    lines.join("\n")
}

fn headline(visit: &JsonFields, visitor: &JsonFields) -> String {
    let who = match visitor.flag("returning") {
        Some(false) => "New visitor",
        Some(true) => "Visitor back",
        None => "Visitor",
    };
    let place = place_name(visit);
    match visit.readable("site", 45, readable_host) {
        Some(site) => format!("{who} on {site}: {place}"),
        None => format!("{who}: {place}"),
    }
}

fn place_name(visit: &JsonFields) -> String {
    let near = visit.text("city", 30).or_else(|| visit.text("region", 30));
    let far = visit
        .text("country", 30)
        .or_else(|| visit.text("country_code", 2));
    match (near, far) {
        (Some(near), Some(far)) => format!("{near}, {far}"),
        (Some(place), None) | (None, Some(place)) => place,
        (None, None) => "place unknown".into(),
    }
}

fn source_label(source: &str) -> &str {
    match source {
        "(direct)" => "typed in or bookmarked",
        source => source,
    }
}

/// `Firefox on Windows, first visit`
fn visitor_line(visit: &JsonFields, visitor: &JsonFields) -> Option<String> {
    let device = match (visit.text("browser", 20), visit.text("os", 15)) {
        (Some(browser), Some(os)) => Some(format!("{browser} on {os}")),
        (browser, os) => browser.or(os),
    };
    match (device, visit_history(visitor)) {
        (Some(device), Some(history)) => Some(format!("{device}, {history}")),
        (Some(device), None) => Some(device),
        (None, Some(history)) => Some(capitalize(&history)),
        (None, None) => None,
    }
}

fn visit_history(visitor: &JsonFields) -> Option<String> {
    let text = match (
        visitor.flag("returning")?,
        visitor.number("previous_sessions"),
    ) {
        (false, _) => "first visit".into(),
        (true, Some(1)) => "returning, 1 earlier session".into(),
        (true, Some(earlier @ 2..10_000)) => format!("returning, {earlier} earlier sessions"),
        (true, _) => "returning".into(),
    };
    Some(text)
}

/// The text must be ASCII and not empty.
fn capitalize(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// An object in `data`. Fields with an unexpected type count as missing.
struct JsonFields<'a>(Option<&'a Value>);

impl JsonFields<'_> {
    /// Returns a text as one line of at most `most` characters.
    fn text(&self, name: &str, most: usize) -> Option<String> {
        self.readable(name, most, |text| Cow::Borrowed(text))
    }

    /// Returns the readable form of a text as one line of at most `most` characters.
    fn readable(
        &self,
        name: &str,
        most: usize,
        form: impl Fn(&str) -> Cow<'_, str>,
    ) -> Option<String> {
        let text = form(self.0?.get(name)?.as_str()?);
        let one_line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        // Visitors choose the path and the source. Phones and chats must not show them as links.
        let unlinked = one_line.replace("://", ": //");
        let text = unlinked.trim();
        if text.chars().nth(most).is_none() {
            return Some(text.to_owned()).filter(|text| !text.is_empty());
        }
        // GSM-7 has no ellipsis character.
        let cut = truncate_chars(text, most.saturating_sub(3));
        Some(cut.trim_end().to_owned() + "...")
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0?.get(name)?.as_bool()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0?.get(name)?.as_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn say(data: &Value) -> String {
        format_visitor_message(data.as_object().unwrap())
    }

    fn known() -> Value {
        json!({
            "visit": {
                "site": "example.com", "path": "/pricing", "source": "google", "city": "London",
                "country": "United Kingdom", "browser": "Firefox", "os": "Windows",
            },
            "visitor": {"returning": false, "previous_sessions": 0},
        })
    }

    #[test]
    fn who_from_where_on_which_page_from_which_source() {
        assert_eq!(
            say(&known()),
            "New visitor on example.com: London, United Kingdom\n\
             Page: /pricing\nFrom: google\nFirefox on Windows, first visit"
        );
    }

    #[test]
    fn what_visitors_choose_becomes_no_link() {
        let mut data = known();
        data["visit"]["path"] = json!("/[login](https://evil.example/)");
        data["visit"]["source"] = json!("http://evil.example");
        let said = say(&data);
        assert!(
            said.contains("Page: /[login](https: //evil.example/)"),
            "{said}"
        );
        assert!(!said.contains("://"), "{said}");
    }

    #[test]
    fn site_and_path_are_readable() {
        let mut data = known();
        data["visit"]["site"] = json!("xn--e1afmkfd.xn--p1ai");
        data["visit"]["path"] = json!("/%D1%81%D1%82%D1%80%D0%B0%D0%BD%D0%B8%D1%86%D0%B0");
        data["visit"]["source_name"] = json!("Google");
        assert_eq!(
            say(&data),
            "New visitor on пример.рф: London, United Kingdom\n\
             Page: /страница\nFrom: Google\nFirefox on Windows, first visit"
        );
        data["visit"]["site"] = json!("xn--80ak6aa92e.com");
        data["visit"]["path"] = json!("/%E2%80%AEa%2Fb%20c%00/%7E%3A%2F%2Fx%3A//y");
        data["visit"]["source_name"] = json!(null);
        let said = say(&data);
        let start = "New visitor on xn--80ak6aa92e.com: London, United Kingdom\n\
            Page: /%E2%80%AEa%2Fb%20c%00/~%3A%2F%2Fx%3A//y\nFrom: google\n";
        assert!(said.starts_with(start), "{said}");
        // Neither an escape nor a character is cut.
        data["visit"]["path"] = json!(format!("/{}", "%FF%2F".repeat(20)));
        assert!(say(&data).contains(&format!("Page: /{}...\n", "%FF%2F".repeat(9))));
        data["visit"]["path"] = json!(format!("/{}", "e%CC%81".repeat(40)));
        assert!(say(&data).contains(&format!("Page: /{}...\n", "e\u{301}".repeat(28))));
    }

    #[test]
    fn a_returning_visitor_who_typed_the_address() {
        let mut data = known();
        data["visit"]["source"] = json!("(direct)");
        data["visit"]["city"] = json!(null);
        data["visitor"] = json!({"returning": true, "previous_sessions": 3});
        assert_eq!(
            say(&data),
            "Visitor back on example.com: United Kingdom\n\
             Page: /pricing\nFrom: typed in or bookmarked\n\
             Firefox on Windows, returning, 3 earlier sessions"
        );
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_left_out() {
        assert_eq!(say(&json!({})), "Visitor: place unknown");
        let odd = json!({"visit": {"site": 7, "path": ["/"], "os": "iOS"}, "visitor": "x"});
        assert_eq!(say(&odd), "Visitor: place unknown\niOS");
        let bare = json!({"visit": {"country_code": "SE"}, "visitor": {"returning": false}});
        assert_eq!(say(&bare), "New visitor: SE\nFirst visit");
    }

    #[test]
    fn the_longest_message_fits_two_segments_and_keeps_its_lines() {
        let long = "abc\n".repeat(100);
        let mut data = known();
        for name in ["site", "path", "source", "city", "country", "browser", "os"] {
            data["visit"][name] = json!(long);
        }
        data["visitor"] = json!({"returning": true, "previous_sessions": 9_999});
        let said = say(&data);
        assert!(
            said.chars().count() <= MAX_MESSAGE_CHARS,
            "{}",
            said.chars().count()
        );
        assert_eq!(said.lines().count(), 4);
        assert!(said.is_ascii());
    }
}
