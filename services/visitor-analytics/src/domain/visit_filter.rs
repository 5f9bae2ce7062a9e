//! Filters single visits by their own attributes, for exports, the live stream and realtime
//! reports.

use chrono_tz::Tz;
use common::visitor_analytics::Visit;
use rollups::dimension::Dimension;
use rollups::query::{Attribute, AttributeFilter};
use serde_json::Value;

/// The value of a property is cut to this length before it is compared.
const MAX_PROPERTY_CHARS: usize = 200;

/// A filter for visits. A visit must pass all conditions.
#[derive(Clone, Debug)]
pub struct VisitFilter {
    /// The domain of the site. `None` passes all sites.
    pub site: Option<String>,
    /// `None` passes visits of bots and of people.
    pub is_bot: Option<bool>,
    /// Only filters of attributes that a visit alone determines.
    pub filters: Vec<AttributeFilter>,
    /// The time zone for hours and days of the week.
    pub time_zone: Tz,
}

impl VisitFilter {
    /// Whether a visit passes the filter.
    #[must_use]
    pub fn matches(&self, visit: &Visit) -> bool {
        self.site.as_ref().is_none_or(|site| *site == visit.site)
            && self.is_bot.is_none_or(|is_bot| is_bot == visit.is_bot)
            && self
                .filters
                .iter()
                .all(|filter| self.matches_attribute(filter, visit))
    }

    fn matches_attribute(&self, filter: &AttributeFilter, visit: &Visit) -> bool {
        use Dimension as D;
        let one = |value: &Option<String>| filter.passes(&[value.as_deref()]);
        let text = |value: &str| filter.passes(&[Some(value)]);
        let Attribute::Dimension(dimension) = filter.attribute else {
            let local = visit.timestamp.with_timezone(&self.time_zone);
            return text(&local.format("%u").to_string());
        };
        match dimension {
            D::Page => text(&visit.path),
            D::Title => one(&visit.title),
            D::Referrer => one(&visit.referrer),
            D::Source => text(&visit.source),
            D::Medium => text(&visit.medium),
            D::Channel => one(&visit.channel),
            D::UtmSource => one(&visit.utm_source),
            D::UtmMedium => one(&visit.utm_medium),
            D::UtmCampaign => one(&visit.utm_campaign),
            D::UtmTerm => one(&visit.utm_term),
            D::UtmContent => one(&visit.utm_content),
            D::Country => one(&visit.country_code),
            D::Region => one(&region_value(visit)),
            D::City => one(&city_value(visit)),
            D::Browser => one(&visit.browser),
            D::BrowserVersion => one(&version_value(
                visit.browser.as_deref(),
                visit.browser_version.as_deref(),
            )),
            D::Os => one(&visit.os),
            D::OsVersion => one(&version_value(
                visit.os.as_deref(),
                visit.os_version.as_deref(),
            )),
            D::DeviceType => text(&visit.device_type),
            D::Brand => one(&visit.brand),
            D::Language => one(&visit.language),
            D::StatusCode => one(&visit.status_code.map(|code| code.to_string())),
            D::Hour => text(
                &visit
                    .timestamp
                    .with_timezone(&self.time_zone)
                    .format("%H")
                    .to_string(),
            ),
            D::BotName => one(&visit.bot_name),
            D::BotReason if visit.bot_reasons.is_empty() => one(&None),
            D::BotReason => {
                let reasons = visit.bot_reasons.iter().map(String::as_str);
                filter.passes(&reasons.map(Some).collect::<Vec<_>>())
            }
            D::BotCategory => one(&visit.bot_category),
            D::AsOrganization => one(&visit.as_organization),
            D::Property => {
                let named = filter.property.iter();
                let texts = named.filter_map(|name| property_value(visit, name));
                filter.passes(
                    &texts
                        .collect::<Vec<_>>()
                        .iter()
                        .map(|t| Some(&**t))
                        .collect::<Vec<_>>(),
                )
            }
            D::Total | D::EntryPage | D::ExitPage => false,
        }
    }
}

/// Whether a visit alone determines the value of an attribute. The entry and exit page depend on
/// its session.
#[must_use]
pub fn is_visit_attribute(subject: Attribute) -> bool {
    use Dimension as D;
    !matches!(
        subject,
        Attribute::Dimension(D::Total | D::EntryPage | D::ExitPage)
    )
}

/// The value in rollups, such as `GB-ENG`.
fn region_value(visit: &Visit) -> Option<String> {
    let country = visit.country_code.as_deref().unwrap_or_default();
    let code = visit.region_code.as_deref()?;
    Some(format!("{country}-{code}"))
}

/// The value in rollups, such as `GB-ENG/London`.
fn city_value(visit: &Visit) -> Option<String> {
    let city = visit.city.as_deref()?;
    let within = region_value(visit).or_else(|| visit.country_code.clone());
    Some(format!("{}/{city}", within.unwrap_or_default()))
}

/// The value in rollups, such as `plan=pro`.
fn property_value(visit: &Visit, name: &str) -> Option<String> {
    let text = match visit.properties.get(name)? {
        Value::String(text) => text.chars().take(MAX_PROPERTY_CHARS).collect(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        _ => return None,
    };
    Some(format!("{name}={text}"))
}

/// The value in rollups, such as `Firefox 144.0`.
fn version_value(name: Option<&str>, version: Option<&str>) -> Option<String> {
    let version = version?;
    Some(name.map_or_else(|| version.to_owned(), |name| format!("{name} {version}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use rollups::pattern::WildcardPattern;

    fn visit() -> Visit {
        let all = json!({
            "id": "019a0000-0000-7000-8000-000000000001", "site": "shop.example",
            "timestamp": "2026-11-20T23:30:00Z", "received_at": "2026-11-20T23:30:00Z",
            "url": "https://shop.example/blog/a", "path": "/blog/a", "source": "google",
            "medium": "organic", "method": "GET", "visitor_id": "v",
            "session_id": "019a0000-0000-7000-8000-000000000002", "device_type": "desktop",
            "country_code": "GB", "region_code": "ENG", "city": "London", "browser": "Firefox",
            "browser_version": "144.0", "is_bot": false, "bot_score": 15,
            "bot_reasons": ["a", "b"], "ruleset": 2, "status_code": 404,
            "properties": {"plan": "pro", "seats": 3, "list": [1]},
        });
        serde_json::from_value(all).unwrap()
    }

    fn takes(name: &str, value: &str) -> bool {
        let pattern = WildcardPattern::parse(value.trim_start_matches('!')).unwrap();
        let (included, excluded) = if value.starts_with('!') {
            (vec![], vec![pattern])
        } else {
            (vec![pattern], vec![])
        };
        let (attribute, property) = Attribute::parse(name).unwrap();
        assert!(is_visit_attribute(attribute), "{name}");
        let pick = VisitFilter {
            site: Some("shop.example".into()),
            is_bot: Some(false),
            filters: vec![AttributeFilter {
                attribute,
                property: property.map(str::to_owned),
                included,
                excluded,
            }],
            time_zone: Tz::Europe__Berlin,
        };
        pick.matches(&visit())
    }

    #[test]
    fn a_visit_is_judged_by_what_it_tells() {
        for (name, value) in [
            ("page", "/blog/*"),
            ("path", "/blog/a"),
            ("country_code", "GB"),
            ("region", "GB-ENG"),
            ("city", "GB-ENG/London"),
            ("browser_version", "Firefox 144.0"),
            ("status_code", "404"),
            ("bot_reasons", "b"),
            ("os_version", ""),
            ("hour", "00"),
            ("weekday", "6"),
            ("medium", "!cpc"),
            ("property:plan", "p*"),
            ("property:seats", "3"),
            ("property:list", ""),
            ("property:theme", "!dark"),
        ] {
            assert!(takes(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("page", "/blog"),
            ("country", "DE"),
            ("bot_reason", "!a"),
            ("utm_source", "x"),
            ("title", "!"),
            ("property:plan", "free"),
            ("property:seats", "!3"),
            ("hour", "23"),
        ] {
            assert!(!takes(name, value), "{name} {value}");
        }
        assert!(!is_visit_attribute(
            Attribute::from_name("entry_page").unwrap()
        ));
    }

    #[test]
    fn site_and_class_count_too() {
        let pick = |site: Option<&str>, is_bot| VisitFilter {
            site: site.map(str::to_owned),
            is_bot,
            filters: vec![],
            time_zone: Tz::UTC,
        };
        assert!(pick(None, None).matches(&visit()));
        assert!(!pick(Some("other.example"), None).matches(&visit()));
        assert!(!pick(None, Some(true)).matches(&visit()));
    }
}
