use std::sync::LazyLock;

use super::*;

static CRAWLERS: LazyLock<Crawlers> = LazyLock::new(Crawlers::new);

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

fn verdict(user_agent: &str, headers: Option<&Headers>) -> Verdict {
    judge(&judge_agent(&CRAWLERS, user_agent), headers)
}

#[test]
fn crawlers_are_named() {
    let google = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let found = verdict(google, None);
    assert!(found.is_bot);
    assert_eq!(found.name.as_deref(), Some("Googlebot"));
    assert_eq!(found.reasons[0], Reason::KnownCrawler);
    assert_eq!(found.score, 100);
}

#[test]
fn programs_and_driven_browsers_are_bots() {
    let cases = [
        ("curl/8.5.0", Reason::HttpTool),
        ("python-requests/2.32", Reason::HttpTool),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            Reason::HeadlessBrowser,
        ),
        ("", Reason::EmptyUserAgent),
        ("-", Reason::EmptyUserAgent),
        ("Mozilla/5.0", Reason::ShortUserAgent),
        (
            "Mozilla/5.0 (compatible; Ezooms/1.0; help@moz.com)",
            Reason::ContactAddress,
        ),
        ("portscout/0.8.1", Reason::UnlikeABrowser),
        ("Acme site-spider 1.0 from acme.example", Reason::BotWord),
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
}

#[test]
fn people_stay_people() {
    let browser = Headers::from([("Accept", "text/html"), ("Accept-Language", "de")]);
    let cubot = "Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36";
    let text_browser = "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1";
    let old_phone = "QS304 Profile/MIDP-2.0 Configuration/CLDC-1.1";
    let ecosia = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36 (Ecosia android@150.0.0.0)";
    for user_agent in [FIREFOX, cubot, text_browser, old_phone, ecosia] {
        assert_eq!(verdict(user_agent, None).score, 0, "{user_agent}");
        assert_eq!(verdict(user_agent, Some(&browser)).score, 0, "{user_agent}");
    }
}

#[test]
fn a_browser_with_a_programs_headers_is_a_bot_but_only_when_headers_were_sent() {
    let like_curl = verdict(FIREFOX, Some(&[("accept", "*/*")].into()));
    assert_eq!(like_curl.reasons, [Reason::NoAcceptLanguage]);
    assert!(like_curl.is_bot);
    assert!(!verdict(FIREFOX, None).is_bot);
    let prefetch = [
        ("accept", "a"),
        ("accept-language", "de"),
        ("sec-purpose", "prefetch;prerender"),
    ];
    assert_eq!(
        verdict(FIREFOX, Some(&prefetch.into())).reasons,
        [Reason::Prefetch]
    );
}

#[test]
fn a_score_never_passes_100() {
    assert_eq!(verdict("curl/8.5.0", Some(&Headers::default())).score, 100);
}
