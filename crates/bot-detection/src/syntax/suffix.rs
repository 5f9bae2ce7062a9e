//! Words at the end of a browser's user agent.

/// A word that a program with an embedded browser appends to the user agent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum UserAgentSuffix {
    /// The domain of the program's operator.
    Domain,
    /// The name of the program without a version. A few browsers do this too.
    Word,
}

/// Finds such a word. Desktop browsers end with a product and its version instead.
pub(super) fn find_suffix(user_agent: &str) -> Option<UserAgentSuffix> {
    const DESKTOP_SYSTEMS: [&str; 3] = ["Windows NT", "Macintosh", "X11"];
    // Endings of real browsers, such as SomeBrowser, LBBROWSER, 360SE, SomeApp.
    const BROWSER_SUFFIXES: [&str; 6] = ["App", "Brave", "Safari", "rowser", "ROWSER", "SE"];
    const TOP_LEVEL_DOMAINS: [&str; 10] = [
        "com", "net", "org", "io", "ai", "dev", "co", "eu", "de", "fr",
    ];
    let system = user_agent.strip_prefix("Mozilla/5.0 (")?;
    let (before, last) = user_agent.rsplit_once(' ')?;
    let is_modern = before.contains(" Chrome/") || before.contains(" Firefox/");
    let follows = before
        .rsplit(' ')
        .next()
        .is_some_and(|word| word.contains('/') && !word.ends_with([')', ']']));
    if !follows || !is_modern || !DESKTOP_SYSTEMS.iter().any(|desk| system.starts_with(desk)) {
        return None;
    }
    let name = last.split('/').next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '.';
    if !name.chars().all(is_word) {
        return None;
    }
    // `com.example.app` is the package name of an app, not a domain.
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    let end = rest.rsplit('.').next().unwrap_or_default();
    if TOP_LEVEL_DOMAINS.contains(&end) && !TOP_LEVEL_DOMAINS.contains(&first) {
        return Some(UserAgentSuffix::Domain);
    }
    let is_bare = name == last && !BROWSER_SUFFIXES.iter().any(|shell| last.ends_with(shell));
    is_bare.then_some(UserAgentSuffix::Word)
}
