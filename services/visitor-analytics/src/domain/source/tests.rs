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

/// Referrer, expected source, medium and channel, and name of the source.
const REFERRERS: [(&str, &str, &str); 23] = [
    (
        "https://noai.duckduckgo.com/",
        "duckduckgo organic Organic Search",
        "DuckDuckGo",
    ),
    (
        "https://safe.duckduckgo.com/",
        "duckduckgo organic Organic Search",
        "DuckDuckGo",
    ),
    (
        "https://www2.bing.com/search?q=a",
        "bing organic Organic Search",
        "Bing",
    ),
    (
        "https://edgeservices.bing.com/",
        "bing organic Organic Search",
        "Bing",
    ),
    (
        "https://s20-eu4.startpage.com/",
        "startpage organic Organic Search",
        "Startpage",
    ),
    (
        "https://developers.google.com/",
        "developers.google.com referral Referral",
        "developers.google.com",
    ),
    (
        "https://blog.duckduckgo.com/",
        "blog.duckduckgo.com referral Referral",
        "blog.duckduckgo.com",
    ),
    (
        "https://copilot.cloud.microsoft/",
        "copilot ai-assistant AI Assistants",
        "Microsoft Copilot",
    ),
    (
        "https://gemini.google.com/app",
        "gemini ai-assistant AI Assistants",
        "Google Gemini",
    ),
    (
        "https://www.perplexity.ai/",
        "perplexity ai-assistant AI Assistants",
        "Perplexity",
    ),
    (
        "https://www.phind.com/",
        "phind ai-assistant AI Assistants",
        "Phind",
    ),
    (
        "https://cac-excel.officeapps.live.com/x",
        "microsoft office referral Referral",
        "Microsoft Office",
    ),
    (
        "https://en.m.wikipedia.org/",
        "wikipedia referral Referral",
        "Wikipedia",
    ),
    ("https://t.co/abc", "twitter social Organic Social", "X"),
    ("https://mail.google.com/", "gmail email Email", "Gmail"),
    (
        "android-app://com.google.android.gm",
        "gmail email Email",
        "Gmail",
    ),
    (
        "android-app://com.google.android.gm/",
        "gmail email Email",
        "Gmail",
    ),
    (
        "https://outlook.live.com/mail/0/",
        "outlook email Email",
        "Outlook",
    ),
    (
        "https://eu.mail.yahoo.com/d",
        "yahoo mail email Email",
        "Yahoo Mail",
    ),
    (
        "https://www.icloud.com/mail/",
        "icloud mail email Email",
        "iCloud Mail",
    ),
    (
        "https://webmail.provider.example/",
        "webmail.provider.example email Email",
        "webmail.provider.example",
    ),
    (
        "https://mail.example/",
        "mail.example referral Referral",
        "mail.example",
    ),
    (
        "https://b.example/",
        "b.example referral Referral",
        "b.example",
    ),
];

#[test]
fn subdomains_belong_to_their_service() {
    for (referrer, expected, name) in REFERRERS {
        let found = origin("https://a.test/", Some(referrer));
        assert_eq!(found.join(" "), expected, "{referrer}");
        assert_eq!(display_name(&found[0]), name, "{referrer}");
    }
    assert_eq!(display_name("(direct)"), "Direct");
    assert_eq!(display_name("newsletter"), "newsletter");
}

#[test]
fn values_that_were_encoded_twice_are_decoded() {
    let utm = |query: &str| {
        let url = Url::parse(&format!("https://a.example/?{query}")).unwrap();
        TrafficSource::detect(&url, None, None).utm.source.unwrap()
    };
    for (query, source) in [
        ("utm_source=no%2520code%2520founders", "no code founders"),
        ("utm_source=no%252520code", "no code"),
        ("utm_source=no%20code", "no code"),
        ("utm_source=no+code", "no code"),
        ("utm_source=100%25", "100%"),
        ("utm_source=caf%25C3%25A9", "café"),
        ("utm_source=%25FF", "%FF"),
        ("utm_source=50%25%20off", "50% off"),
    ] {
        assert_eq!(utm(query), source, "{query}");
    }
}

#[test]
fn ads_on_video_sites_are_paid_video() {
    let youtube = Some("https://www.youtube.com/watch");
    for (query, referrer, expected) in [
        ("?gad_source=1", None, "google cpc Paid Search"),
        (
            "?gad_source=1&gbraid=x",
            Some("https://www.google.com/"),
            "google cpc Paid Search",
        ),
        ("?gclid=1", youtube, "google cpc Paid Video"),
        (
            "?wbraid=1",
            Some("android-app://com.google.android.youtube/"),
            "google cpc Paid Video",
        ),
        ("?fbclid=1", youtube, "facebook social Organic Social"),
    ] {
        let found = origin(&format!("https://a.example/{query}"), referrer);
        assert_eq!(found.join(" "), expected, "{query} {referrer:?}");
    }
}
