//! Versions that were never released.

use crate::BotRule;

/// Versions of Windows NT before 10
/// (<https://learn.microsoft.com/windows/win32/sysinfo/operating-system-version>), including the
/// spellings of early browsers.
const WINDOWS_NT_VERSIONS: [&str; 13] = [
    "3.1", "3.5", "3.51", "4.0", "4.1", "5.0", "5.01", "5.1", "5.2", "6.0", "6.1", "6.2", "6.3",
];

/// Build numbers of some major versions of Chrome: (version, build). Each version has one build
/// number; the ones between are interpolated. The source is in `data/README.md`.
const CHROME_BUILDS: [(u32, u32); 18] = [
    (21, 1180),
    (30, 1599),
    (35, 1916),
    (40, 2214),
    (45, 2454),
    (52, 2743),
    (61, 3163),
    (69, 3497),
    (80, 3987),
    (92, 4511),
    (100, 4896),
    (110, 5481),
    (120, 6099),
    (130, 6723),
    (140, 7339),
    (150, 7871),
    (152, 7977),
    (159, 8153),
];
/// The tolerance around the interpolated build number.
const MAX_BUILD_DEVIATION: u32 = 120;
/// No patch of Chrome has had a number of four digits. Yandex once had five.
const IMPOSSIBLE_CHROME_PATCHES: std::ops::RangeInclusive<u32> = 1_000..=9_999;
/// Chrome will not reach this version for decades.
const MAX_CHROME_VERSION: u32 = 1_000;

pub(super) fn has_impossible_windows_version(user_agent: &str) -> bool {
    let Some((before, after)) = user_agent.split_once("Windows NT") else {
        return false;
    };
    let after = after.trim_start();
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let version = &after[..end.unwrap_or(after.len())];
    match version {
        "" => sends_windows_version(before),
        "6.4" | "10" => false,
        // Facebook for Windows adds the build, such as `10.0.16299.98`.
        other => {
            let mut numbers = other.splitn(3, '.');
            let short = [numbers.next(), numbers.next()].map(Option::unwrap_or_default);
            let short = short.join(".");
            short != "10.0" && !WINDOWS_NT_VERSIONS.contains(&short.as_str())
        }
    }
}

/// Whether the browser, whose user agent begins with `before`, sends the version of Windows.
/// Browsers with `Mozilla/5.0` do, and Internet Explorer since version 7, which requires NT 5.1.
fn sends_windows_version(before: &str) -> bool {
    let explorer = before.rsplit_once("MSIE ");
    let version = explorer.and_then(|(_, version)| version.split('.').next());
    version.map_or(before.starts_with("Mozilla/5.0 ("), |version| {
        version.parse().is_ok_and(|version: u32| version >= 7)
    })
}

/// Checks the version of Chrome. Before version 100, browsers sent the full version, such as
/// `52.0.2743.116`; apps still do.
pub(super) fn check_chrome_version(user_agent: &str) -> Option<BotRule> {
    let (before, after) = user_agent.split_once(" Chrome/")?;
    // On iOS, Chrome calls itself `CriOS`.
    if before.contains("(iPhone; CPU iPhone OS") {
        return Some(BotRule::ImpossibleVersion);
    }
    let mut parts = after.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let major = next()?;
    if major == 0 || major > MAX_CHROME_VERSION {
        return Some(BotRule::ImpossibleVersion);
    }
    let (minor, build) = (next()?, next()?);
    if next().is_some_and(|patch| IMPOSSIBLE_CHROME_PATCHES.contains(&patch)) {
        return Some(BotRule::ImpossibleVersion);
    }
    let place = CHROME_BUILDS
        .iter()
        .position(|(version, _)| *version > major)?;
    if minor != 0 || build == 0 || place == 0 {
        return None;
    }
    let ((v0, b0), (v1, b1)) = (CHROME_BUILDS[place - 1], CHROME_BUILDS[place]);
    let expected = b0 + (b1 - b0) * (major - v0) / (v1 - v0);
    (build.abs_diff(expected) > MAX_BUILD_DEVIATION).then_some(BotRule::UnlikelyVersion)
}

/// Whether Safari on a Mac lacks its version, which it has sent since version 3.
pub(super) fn lacks_safari_version(user_agent: &str) -> bool {
    user_agent.contains("(Macintosh; Intel Mac OS X 10")
        && user_agent.contains("(KHTML, like Gecko) Safari/")
}
