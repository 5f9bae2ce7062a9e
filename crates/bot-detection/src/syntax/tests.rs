use std::sync::LazyLock;

use crate::{BotCategory, BotRule, UserAgentRules};

static JUDGE: LazyLock<UserAgentRules> = LazyLock::new(UserAgentRules::new);

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

fn reasons(user_agent: &str) -> Vec<BotRule> {
    JUDGE.evaluate(user_agent).reasons
}

#[test]
fn what_programs_write_behind_a_browsers_user_agent_is_seen() {
    let ends = |end: &str| JUDGE.evaluate(&format!("{CHROME}{end}"));
    for strange in [" Acmeshot", " Edg/142.0.0.0 AcmeSurfer"] {
        let found = ends(strange);
        assert_eq!(found.reasons, [BotRule::UnknownSuffix], "{strange}");
        assert!(found.is_bot());
    }
    for domain in [" acme.com/2.0", " surf.acme.fr"] {
        assert_eq!(
            ends(domain).reasons,
            [BotRule::MalformedUserAgent],
            "{domain}"
        );
    }
    for usual in [
        "",
        " Edg/142.0.0.0",
        " Acme/1.0",
        " Brave",
        " AcmeApp",
        " AcmeBrowser",
        " ACMESE",
        " [FB_IAB/FB4A]",
        " com.acme.shop/1",
    ] {
        assert_eq!(ends(usual).reasons, [], "{usual}");
    }
    let webview = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 Acme";
    assert_eq!(reasons(webview), []);
    let assistant = ends(" Acme-User/1.0");
    assert_eq!(assistant.category, Some(BotCategory::AiAssistant));
}

#[test]
fn who_signs_as_an_agent_is_a_bot_on_a_phone_too() {
    let phone = "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36";
    for end in ["Acme-Optimizer-Agent", "AcmeHttpAgent", "Acme-Inspect"] {
        let found = JUDGE.evaluate(&format!("{phone} {end}"));
        assert_eq!(found.reasons, [BotRule::BotWord], "{end}");
        assert_eq!(found.name.as_deref(), Some(end));
    }
    assert_eq!(reasons(&format!("{phone} AgentPhone/1.0")), []);
}

#[test]
fn names_stand_in_other_places_in_browsers() {
    for strange in [
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7; Acme-1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 11_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Acme Version/11.0 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (X11; Linux x86_64; rv:45.0; Acme) Gecko/20100101 Firefox/45.0",
        "Acme (Beta 2; GNU/Linux)",
    ] {
        assert_eq!(reasons(strange), [BotRule::MalformedUserAgent], "{strange}");
    }
    for usual in [
        "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_8; en-US) AppleWebKit/532.5 (KHTML, like Gecko) Chrome/4.0.249.0 Safari/532.5",
        "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.9.2.3) Gecko/20100401 Firefox/3.6.3",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.6099.119 Mobile/15E148 Safari/604.1",
    ] {
        assert_eq!(reasons(usual), [], "{usual}");
    }
}

#[test]
fn windows_says_its_version_where_browsers_tell_it() {
    for never in [
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT) Acme/1.0",
        "Mozilla/5.0 (Windows NT; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
        "Mozilla/5.0 (Windows NT 12.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    ] {
        assert_eq!(reasons(never), [BotRule::ImpossibleVersion], "{never}");
    }
    for once in [
        "Mozilla/4.0 (compatible; MSIE 5.0; Windows NT; DigExt)",
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)",
        "Mozilla/5.0 (Windows; U; Windows NT 5.1; en-US; rv:1.8.1) Gecko/20061010 Firefox/2.0",
    ] {
        assert_eq!(reasons(once), [], "{once}");
    }
}

#[test]
fn builds_of_chrome_are_those_of_its_versions() {
    let chrome = |version: &str| reasons(&CHROME.replace("142.0.0.0", version));
    // Includes builds from long before the release of the version.
    for real in [
        "25.0.1364.172",
        "39.0.2171.65",
        "76.0.3774.1",
        "98.0.4706.0",
        "99.0.4767.0",
        "110.0.5415.0",
        "116.0.5791.0",
        "125.0.6412.0",
        "140.0.7261.0",
        "140.0.7339.133",
        "156.0.8078.3",
        "300.0.9000.1",
        "30.0.1599.12975",
    ] {
        assert_eq!(chrome(real), [], "{real}");
    }
    for other in ["52.0.8062.144", "70.0.3112.90", "140.0.6723.1"] {
        assert_eq!(chrome(other), [BotRule::UnlikelyVersion], "{other}");
    }
    for never in ["0.0.0.0", "1001.0.0.0", "52.0.2743.1449"] {
        assert_eq!(chrome(never), [BotRule::ImpossibleVersion], "{never}");
    }
}
