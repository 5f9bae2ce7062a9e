use std::sync::LazyLock;

use super::*;

static READER: LazyLock<UserAgentParser> = LazyLock::new(UserAgentParser::new);

const FROZEN: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const BRANDS: (&str, &str) = (
    "sec-ch-ua",
    r#""Chromium";v="141", "Not?A_Brand";v="8", "Google Chrome";v="141""#,
);

fn line(agent: UserAgent) -> String {
    let part = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let parts = [
        part(agent.browser),
        part(agent.browser_version),
        part(agent.os),
        part(agent.os_version),
        agent.device_type.as_str().into(),
        part(agent.brand),
        part(agent.model),
    ];
    parts.join(" ")
}

#[test]
fn common_browsers_are_read() {
    let cases = [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
            "Firefox 144.0 Windows 10 desktop - -",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
            "Mobile Safari 17.4 iOS 17.4 smartphone Apple iPhone",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            "Mobile Safari 16.6 iOS 16.6 tablet Apple iPad",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-A515F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Mobile Safari/537.36",
            "Chrome Mobile 109.0 Android 13 smartphone Samsung SM-A515F",
        ),
        (FROZEN, "Chrome Mobile 141.0 Android 10 smartphone - -"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            "Chrome 141.0 Linux - desktop - -",
        ),
        ("", "- - - - other - -"),
    ];
    for (user_agent, expected) in cases {
        assert_eq!(line(READER.parse(user_agent, None)), expected);
    }
}

/// Lines of type, browser and version, system and version, brand and model, and user agent.
const AGENTS: &str = include_str!("tests/agents.tsv");

#[test]
fn in_app_browsers_and_rare_devices_are_read() {
    for row in AGENTS.lines() {
        let fields: Vec<&str> = row.split('\t').collect();
        let [device_type, browser, os, device, user_agent] = fields[..] else {
            panic!("{row}");
        };
        let [name, major] = [browser, os].map(|text| text.rsplit_once(' ').unwrap());
        let expected = format!(
            "{} {} {} {} {device_type} {device}",
            name.0, name.1, major.0, major.1
        );
        assert_eq!(
            line(READER.parse(user_agent, None)),
            expected,
            "{user_agent}"
        );
    }
}

/// Lines of device type and user agent.
const DEVICES: &str = include_str!("tests/devices.tsv");

#[test]
fn odd_devices_have_a_type() {
    for row in DEVICES.lines() {
        let (device_type, user_agent) = row.split_once('\t').unwrap();
        let agent = READER.parse(user_agent, None);
        assert_eq!(agent.device_type.as_str(), device_type, "{user_agent}");
    }
}

#[test]
fn hints_take_the_place_of_what_is_frozen() {
    let brave = (
        "sec-ch-ua",
        r#""Chromium";v="141", "Brave";v="141", "Not?A_Brand";v="8""#,
    );
    let hint = |name: &'static str, value: &'static str| (name, value);
    let windows = hint("sec-ch-ua-platform", "\"Windows\"");
    let android = hint("sec-ch-ua-platform", "\"Android\"");
    let version = |value| hint("sec-ch-ua-platform-version", value);
    let none = hint("x", "");
    let cases = [
        (
            WINDOWS,
            [BRANDS, windows, version("\"15.0.0\""), none],
            "Chrome 141.0 Windows 11 desktop - -",
        ),
        (
            WINDOWS,
            [BRANDS, windows, version("\"10.0.0\""), none],
            "Chrome 141.0 Windows 10 desktop - -",
        ),
        (
            WINDOWS,
            [BRANDS, windows, version("\"0.3.0\""), none],
            "Chrome 141.0 Windows 8.1 desktop - -",
        ),
        (
            WINDOWS,
            [brave, windows, none, none],
            "Brave 141 Windows 10 desktop - -",
        ),
        (
            FROZEN,
            [
                BRANDS,
                android,
                version("\"14.0.0\""),
                hint("sec-ch-ua-model", "\"Pixel 8\""),
            ],
            "Chrome Mobile 141.0 Android 14 smartphone Google Pixel 8",
        ),
        (
            FROZEN,
            [
                BRANDS,
                android,
                version("\"13\""),
                hint("sec-ch-ua-form-factors", "\"Tablet\""),
            ],
            "Chrome Mobile 141.0 Android 13 tablet - -",
        ),
        (
            FROZEN,
            [
                BRANDS,
                android,
                version("\"\""),
                hint("sec-ch-ua-model", "\"a;b\""),
            ],
            "Chrome Mobile 141.0 Android 10 smartphone - -",
        ),
    ];
    for (user_agent, headers, expected) in cases {
        let hints = ClientHints::from_headers(&RequestHeaders::from(headers));
        assert_eq!(line(READER.parse(user_agent, hints.as_ref())), expected);
    }
    assert_eq!(
        ClientHints::from_headers(&RequestHeaders::from([none])),
        None
    );
    let same = ClientHints::from_headers(&RequestHeaders::from([BRANDS, windows]));
    assert!(!READER.parse(WINDOWS, same.as_ref()).is_hinted);
}
