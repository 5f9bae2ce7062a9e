use std::sync::LazyLock;

use user_agent::RequestHeaders;

use super::*;

static RULES: LazyLock<UserAgentRules> = LazyLock::new(UserAgentRules::new);

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

fn verdict(user_agent: &str, headers: Option<&RequestHeaders>) -> BotVerdict {
    let signals = VisitSignals {
        user_agent,
        headers,
        is_secure: true,
        path: "/",
        ..VisitSignals::default()
    };
    evaluate_visit(&RULES.evaluate(user_agent), &signals)
}

#[test]
fn crawlers_are_named() {
    let google = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let found = verdict(google, None);
    assert!(found.is_bot);
    assert_eq!(found.name.as_deref(), Some("Googlebot"));
    assert_eq!(found.category, Some(BotCategory::SearchEngine));
    assert_eq!(found.reasons[0], BotRule::KnownCrawler);
    assert_eq!(found.score, 100);
}

#[test]
fn kinds_of_bots_are_told_apart() {
    let cases = [
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
            "ai_assistant",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "ai_crawler",
        ),
        ("curl/8.5.0", "http_library"),
        (
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "seo_tool",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            "headless_browser",
        ),
        ("AcmeFeedReader/1.0", "feed_reader"),
        ("Acme-Uptime-Monitor/1.0", "monitor"),
        ("AcmeBot/1.0", "other"),
    ];
    for (user_agent, category) in cases {
        let found = verdict(user_agent, None).category;
        assert_eq!(
            found.map(BotCategory::as_str),
            Some(category),
            "{user_agent}"
        );
    }
    assert_eq!(
        verdict("AcmeBot/1.0", None).name.as_deref(),
        Some("AcmeBot")
    );
    for category in BotCategory::ALL {
        assert_eq!(BotCategory::from_name(category.as_str()), Some(category));
    }
}

#[test]
fn programs_and_driven_browsers_are_bots() {
    let cases = [
        ("curl/8.5.0", BotRule::HttpTool),
        ("python-requests/2.32", BotRule::HttpTool),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            BotRule::HeadlessBrowser,
        ),
        ("", BotRule::EmptyUserAgent),
        ("-", BotRule::EmptyUserAgent),
        ("Mozilla/5.0", BotRule::ShortUserAgent),
        (
            "Mozilla/5.0 (X11; Linux) Ezooms/1.0; help@moz.example",
            BotRule::ContactAddress,
        ),
        ("portseek/0.8.1", BotRule::MalformedUserAgent),
        (
            "Mozilla/5.0 (compatible; Acme/1.0)",
            BotRule::MalformedUserAgent,
        ),
        ("Acme site-spider 1.0 from acme.example", BotRule::BotWord),
        (
            "Mozilla/5.0 (Windows NT 12.0; Win64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            BotRule::ImpossibleVersion,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/9999.0.0.0 Safari/537.36",
            BotRule::ImpossibleVersion,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
            BotRule::ImpossibleVersion,
        ),
    ];
    for (user_agent, reason) in cases {
        let found = verdict(user_agent, None);
        assert!(found.is_bot, "{user_agent}");
        assert!(
            found.reasons.contains(&reason),
            "{user_agent}: {:?}",
            found.reasons
        );
    }
    let long = format!("{FIREFOX} {}", "x ".repeat(500));
    assert_eq!(verdict(&long, None).reasons, [BotRule::LongUserAgent]);
}

#[test]
fn people_stay_people() {
    let browser = RequestHeaders::from([("Accept", "text/html"), ("Accept-Language", "de")]);
    let cubot = "Mozilla/5.0 (Linux; Android 6; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.3538.80 Mobile Safari/537.36";
    let text_browser = "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1";
    let old_phone = "QS304 Profile/MIDP-2.0 Configuration/CLDC-1.1";
    for user_agent in [FIREFOX, cubot, text_browser, old_phone] {
        assert_eq!(verdict(user_agent, None).score, 0, "{user_agent}");
        assert_eq!(verdict(user_agent, Some(&browser)).score, 0, "{user_agent}");
    }
}

#[test]
fn a_browser_with_a_programs_headers_is_a_bot_but_only_when_headers_were_sent() {
    let like_curl = verdict(FIREFOX, Some(&[("accept", "*/*")].into()));
    assert_eq!(
        like_curl.reasons,
        [BotRule::NoAcceptLanguage, BotRule::AcceptsAnything]
    );
    assert!(like_curl.is_bot);
    assert!(!verdict(FIREFOX, None).is_bot);
    let prefetch = [
        ("accept", "a"),
        ("accept-language", "de"),
        ("sec-purpose", "prefetch;prerender"),
    ];
    assert_eq!(
        verdict(FIREFOX, Some(&prefetch.into())).reasons,
        [BotRule::Prefetch]
    );
}

#[test]
fn headers_that_contradict_each_other_give_a_spoofed_browser_away() {
    let with = |user_agent, more: (&'static str, &'static str)| {
        let headers = [
            ("accept", "text/html"),
            ("accept-language", "en"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
            (
                "sec-ch-ua",
                r#""Chromium";v="142", "Google Chrome";v="142""#,
            ),
            ("sec-ch-ua-mobile", "?0"),
            ("sec-ch-ua-platform", "\"Windows\""),
            more,
        ];
        verdict(user_agent, Some(&headers.into())).reasons
    };
    assert_eq!(with(CHROME, ("dnt", "1")), []);
    let contradicted = [BotRule::ContradictingHeaders];
    let headless = r#""Chromium";v="142", "HeadlessChrome";v="142""#;
    assert_eq!(with(CHROME, ("sec-ch-ua", headless)), contradicted);
    let other = r#""Chromium";v="120", "Google Chrome";v="120""#;
    assert_eq!(with(CHROME, ("sec-ch-ua", other)), contradicted);
    assert_eq!(
        with(CHROME, ("sec-ch-ua-platform", "\"Linux\"")),
        contradicted
    );
    assert_eq!(with(CHROME, ("sec-ch-ua-mobile", "?1")), contradicted);
    assert_eq!(with(CHROME, ("sec-fetch-dest", "image")), contradicted);
    assert_eq!(with(FIREFOX, ("dnt", "1")), contradicted);
}

#[test]
fn a_network_alone_makes_nobody_a_bot_but_adds_to_other_signs() {
    let chrome = |headers: &RequestHeaders, asn| {
        let signals = VisitSignals {
            user_agent: CHROME,
            headers: Some(headers),
            is_secure: true,
            asn: Some(asn),
            ..VisitSignals::default()
        };
        evaluate_visit(&RULES.evaluate(CHROME), &signals)
    };
    let behind_vpn = RequestHeaders::from([
        ("accept", "text/html"),
        ("accept-language", "en"),
        ("sec-fetch-mode", "navigate"),
        ("sec-ch-ua", r#""Chromium";v="142""#),
    ]);
    assert_eq!(
        chrome(&behind_vpn, 24_940).reasons,
        [BotRule::HostingNetwork]
    );
    assert!(!chrome(&behind_vpn, 24_940).is_bot);
    let spoofed = RequestHeaders::from([("accept", "text/html"), ("accept-language", "en")]);
    assert!(chrome(&spoofed, 24_940).is_bot);
    assert!(!chrome(&spoofed, 3_320).is_bot);
}

#[test]
fn probes_are_known_by_their_paths() {
    let at = |path| {
        let signals = VisitSignals {
            path,
            ..VisitSignals::default()
        };
        evaluate_visit(&RULES.evaluate(FIREFOX), &signals)
    };
    for path in [
        "/wp-login.php",
        "/.env",
        "/.git/config",
        "/blog/.ENV",
        "/old/WP-login.php",
        "/cgi-bin/x",
    ] {
        assert_eq!(at(path).reasons, [BotRule::ProbePath], "{path}");
        assert_eq!(at(path).category, Some(BotCategory::SecurityScanner));
    }
    for path in [
        "/",
        "/environment",
        "/wordpress-hosting",
        "/.well-known/x",
        "/git/about",
    ] {
        assert_eq!(at(path).score, 0, "{path}");
    }
}

#[test]
fn what_cannot_be_looked_at_again_is_kept() {
    let before = [
        BotRule::BotWord,
        BotRule::Prefetch,
        BotRule::HostingNetwork,
        BotRule::HighRate,
    ];
    let again = reevaluate_visit(&RULES.evaluate(FIREFOX), &VisitSignals::default(), &before);
    assert_eq!(again.reasons, [BotRule::Prefetch, BotRule::HighRate]);
    assert!(again.is_bot);
}

#[test]
fn what_a_browser_confirms_takes_from_the_score() {
    let doubtful = BotVerdict::from_rules(vec![BotRule::NoAcceptLanguage], None, None);
    assert!(doubtful.is_bot);
    let confirmed = doubtful.with_rules([BotRule::BrowserConfirmed]);
    assert_eq!((confirmed.is_bot, confirmed.score), (false, 30));
    let sure = BotVerdict::from_rules(vec![BotRule::HeadlessBrowser], None, None);
    assert!(sure.with_rules([BotRule::BrowserConfirmed]).is_bot);
    let person = BotVerdict::default().with_rules([BotRule::BrowserConfirmed]);
    assert_eq!((person.is_bot, person.score), (false, 0));
}

#[test]
fn a_pretender_loses_its_name() {
    let google = verdict("Mozilla/5.0 (compatible; Googlebot/2.1)", None);
    let verified = google.with_rules([BotRule::VerifiedCrawler]);
    assert_eq!(verified.name.as_deref(), Some("Googlebot"));
    let pretender = google.with_rules([BotRule::SpoofedCrawler]);
    assert_eq!((pretender.is_bot, pretender.name), (true, None));
    assert_eq!(pretender.category, Some(BotCategory::Other));
}

#[test]
fn a_score_never_passes_100() {
    assert_eq!(
        verdict("curl/8.5.0", Some(&RequestHeaders::default())).score,
        100
    );
}

#[test]
fn codes_lead_back_to_their_rules() {
    for reason in BotRule::ALL {
        assert_eq!(BotRule::from_code(reason.code()), Some(reason));
        assert!((-100..=100).contains(&reason.weight()) && !reason.description().is_empty());
    }
}

/// User agents of people that contain words, addresses or versions which resemble those of bots.
const PEOPLE: &str = include_str!("tests/people.txt");

#[test]
fn words_in_the_names_of_devices_and_apps_are_no_bots() {
    for user_agent in PEOPLE.lines() {
        assert_eq!(RULES.evaluate(user_agent).reasons, [], "{user_agent}");
    }
}

#[test]
fn bots_in_the_user_agent_of_a_browser_are_found() {
    let phone = |device: &str, end: &str| {
        format!(
            "Mozilla/5.0 (Linux; Android 10; {device}) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/120.0.0.0 Mobile Safari/537.36{end}"
        )
    };
    for (user_agent, rule) in [
        (phone("AcmeBot/1.0", ""), BotRule::BotWord),
        (phone("K", " AcmeBot/1.0"), BotRule::BotWord),
        (phone("K", " (compatible; acme spider)"), BotRule::BotWord),
        (
            format!("{CHROME} (https://acme.example)"),
            BotRule::ContactAddress,
        ),
        (
            format!("{CHROME} Acme/1.0 https://acme.example"),
            BotRule::ContactAddress,
        ),
        (format!("{CHROME} AcmeScan/1.0"), BotRule::SuspiciousWord),
        (
            CHROME.replace("142.0.0.0", "52.0.2743.1449"),
            BotRule::ImpossibleVersion,
        ),
        (
            "nscurl (unknown version) CFNetwork/1498.700.2 Darwin/23.6.0".into(),
            BotRule::HttpTool,
        ),
    ] {
        assert_eq!(RULES.evaluate(&user_agent).reasons, [rule], "{user_agent}");
    }
}

#[test]
fn a_confirmed_browser_outweighs_a_suspicious_word() {
    let agent = RULES.evaluate(&format!("{CHROME} AcmeScan/1.0"));
    let verdict = evaluate_visit(&agent, &VisitSignals::default());
    assert!(verdict.is_bot);
    assert!(!verdict.with_rules([BotRule::BrowserConfirmed]).is_bot);
}
