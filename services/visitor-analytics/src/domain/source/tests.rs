use super::*;

fn origin(url: &str, referrer: Option<&str>) -> [String; 3] {
    let url = Url::parse(url).unwrap();
    let referrer = referrer.map(|text| Url::parse(text).unwrap());
    let origin = TrafficSource::detect(&url, referrer.as_ref(), AdNetwork::from_url(&url));
    [
        origin.source,
        origin.medium,
        origin.channel.as_str().to_owned(),
    ]
}

#[test]
fn campaigns_come_before_clicks_before_referrers_before_nothing() {
    let google = Some("https://www.google.com/");
    let cases = [
        ("", None, "(direct) (none) Direct"),
        ("", google, "google organic Organic Search"),
        (
            "",
            Some("https://www.a.example/x"),
            "(direct) (none) Direct",
        ),
        (
            "",
            Some("https://shop.a.example/x"),
            "(direct) (none) Direct",
        ),
        (
            "",
            Some("https://b.example/x"),
            "b.example referral Referral",
        ),
        (
            "?utm_source=News&utm_medium=Email",
            None,
            "news email Email",
        ),
        (
            "?utm_source=x",
            Some("https://b.example/"),
            "x referral Referral",
        ),
        ("?utm_source=%20", None, "(direct) (none) Direct"),
        ("?gclid=1", google, "google cpc Paid Search"),
        (
            "?gclid=1&utm_source=partner&utm_medium=cpc",
            google,
            "partner cpc Paid Other",
        ),
        (
            "?fbclid=1",
            Some("https://l.instagram.com/"),
            "instagram social Organic Social",
        ),
        ("", Some("https://semalt.com/"), "(direct) (none) Direct"),
    ];
    for (query, referrer, expected) in cases {
        let found = origin(&format!("https://a.example/{query}"), referrer);
        assert_eq!(found.join(" "), expected, "{query} {referrer:?}");
    }
}

#[test]
fn hostile_hosts_cost_little_and_mean_nothing() {
    let host = "a.".repeat(120);
    let found = origin(
        "https://a.example/",
        Some(&format!("https://{host}b.example/")),
    );
    assert_eq!(found[2], "Referral");
}
