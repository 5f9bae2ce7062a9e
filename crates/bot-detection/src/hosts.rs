//! Domains of crawlers' hosts, as their operators publish them. An address belongs to a crawler if
//! its PTR name lies in one of the domains and that name resolves to the address.

/// Prefixes of crawlers' names and the domains of their hosts.
const CRAWLER_HOSTS: [(&str, &[&str]); 10] = [
    // https://developers.google.com/search/docs/crawling-indexing/verifying-googlebot
    ("Googlebot", &["googlebot.com", "google.com"]),
    // https://www.bing.com/webmasters/help/how-to-verify-bingbot-3905dc26
    ("bingbot", &["search.msn.com"]),
    ("BingPreview", &["search.msn.com"]),
    ("adidxbot", &["search.msn.com"]),
    ("msnbot", &["search.msn.com"]),
    // https://support.apple.com/119829
    ("Applebot", &["applebot.apple.com"]),
    // https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html
    ("Yandex", &["yandex.ru", "yandex.net", "yandex.com"]),
    // https://www.baidu.com/search/spider.html
    ("Baiduspider", &["baidu.com", "baidu.jp"]),
    // https://napoveda.seznam.cz/en/seznambot-crawler
    ("SeznamBot", &["seznam.cz"]),
    // https://developer.amazon.com/amazonbot
    ("Amazonbot", &["crawl.amazonbot.amazon"]),
];

/// Returns the domains of the hosts of the crawler `name`, or `None` if its operator publishes
/// none. The entry `Googlebot` also applies to `Googlebot-Image`.
#[must_use]
pub fn crawler_domains(name: &str) -> Option<&'static [&'static str]> {
    let is_of = |one: &str| {
        let start = name.get(..one.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(one))
    };
    let known = CRAWLER_HOSTS.iter().find(|(one, _)| is_of(one));
    known.map(|(_, domains)| *domains)
}

/// Whether a host name, with or without a trailing dot, equals one of `domains` or lies below it.
#[must_use]
pub fn is_in_domains(host: &str, domains: &[&str]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    domains.iter().any(|domain| {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserAgentRules;

    #[test]
    fn crawlers_are_found_by_their_user_agents() {
        let judge = UserAgentRules::new();
        for (user_agent, domain) in [
            (
                "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "googlebot.com",
            ),
            ("Googlebot-Image/1.0", "googlebot.com"),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
                "search.msn.com",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
                "applebot.apple.com",
            ),
            (
                "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
                "yandex.ru",
            ),
            (
                "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
                "baidu.com",
            ),
            (
                "Mozilla/5.0 (compatible; SeznamBot/4.0; +https://o-seznam.cz/napoveda/vyhledavani/en/seznambot-crawler/)",
                "seznam.cz",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot) Chrome/119.0.6045.214 Safari/537.36",
                "crawl.amazonbot.amazon",
            ),
        ] {
            let name = judge.evaluate(user_agent).name.unwrap();
            assert_eq!(crawler_domains(&name).unwrap()[0], domain, "{name}");
        }
        for other in ["AcmeBot", "Google", "", "Bing"] {
            assert_eq!(crawler_domains(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_is_within_a_domain_and_not_beside_it() {
        let google = crawler_domains("Googlebot").unwrap();
        for own in [
            "crawl-66-249-66-1.googlebot.com",
            "rate-limited-proxy-66-249-90-77.Google.com.",
            "googlebot.com",
        ] {
            assert!(is_in_domains(own, google), "{own}");
        }
        for other in [
            "fakegooglebot.com",
            "googlebot.com.acme.example",
            "crawl.googlebot.com.evil.example.",
            "",
            ".",
        ] {
            assert!(!is_in_domains(other, google), "{other}");
        }
    }
}
