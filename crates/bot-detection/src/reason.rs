//! The rules' names and weights.

/// A rule that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BotRule {
    /// The user agent is on the list of crawlers.
    KnownCrawler,
    /// The user agent is that of a program or library, not of a browser.
    HttpTool,
    /// The browser says of itself that a program drives it.
    HeadlessBrowser,
    /// The user agent calls itself a bot, crawler, spider or the like.
    BotWord,
    /// The user agent says whom to complain to, as bots do.
    ContactAddress,
    /// The user agent does not begin as any browser's does.
    UnlikeABrowser,
    /// There is no user agent.
    EmptyUserAgent,
    /// No browser's user agent is so short.
    ShortUserAgent,
    /// No browser's user agent is so long.
    LongUserAgent,
    /// A version of a browser or system that there has never been.
    NeverExisted,
    /// A build of Chrome that its version has hardly had.
    UnlikelyVersion,
    /// Behind a desktop browser's user agent stands a word that browsers do not write there.
    StrangeEnding,
    /// Every browser sends `Accept-Language`.
    NoAcceptLanguage,
    /// Every browser sends `Accept`.
    NoAccept,
    /// Who opens a page asks for HTML, and not for anything.
    AcceptsAnything,
    /// Browsers of this version tell what they fetch (`Sec-Fetch-*`).
    NoFetchMetadata,
    /// Browsers of this version send client hints.
    NoClientHints,
    /// The headers contradict the user agent, or each other.
    ContradictingHeaders,
    /// The browser fetches the page in case somebody wants it later.
    Prefetch,
    /// The address belongs to a hosting provider.
    HostingNetwork,
    /// The address hides its user.
    AnonymousNetwork,
    /// Nobody is led to such a path; scanners try them.
    ProbePath,
    /// A site sends such visits to stand in statistics.
    SpamReferrer,
    /// More pages in a time than a person asks for.
    HighRate,
    /// Many pages in a row that are not there.
    ManyMisses,
    /// Pages at a machine's rhythm.
    MachineRhythm,
    /// One visitor on many sites at once.
    ManySites,
    /// A later visit of the session gave it away.
    SessionOfBot,
    /// The page's script told that the page was looked at: this speaks for a person.
    BrowserConfirmed,
    /// The address is one of those from which the crawler comes that the user agent names.
    VerifiedCrawler,
    /// The address is none of those.
    CrawlerPretender,
}

/// What a rule looks at: what is kept with a visit can be judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleEvidence {
    /// The user agent, which is kept.
    UserAgent,
    /// The page, which is kept.
    Page,
    /// The network, of which number and owner are kept.
    Network,
    /// The request's headers, which are not kept.
    Headers,
    /// The address, which is not kept.
    Address,
    /// Other visits of the session.
    Behaviour,
}

impl BotRule {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::KnownCrawler,
        Self::HttpTool,
        Self::HeadlessBrowser,
        Self::BotWord,
        Self::ContactAddress,
        Self::UnlikeABrowser,
        Self::EmptyUserAgent,
        Self::ShortUserAgent,
        Self::LongUserAgent,
        Self::NeverExisted,
        Self::UnlikelyVersion,
        Self::StrangeEnding,
        Self::NoAcceptLanguage,
        Self::NoAccept,
        Self::AcceptsAnything,
        Self::NoFetchMetadata,
        Self::NoClientHints,
        Self::ContradictingHeaders,
        Self::Prefetch,
        Self::HostingNetwork,
        Self::AnonymousNetwork,
        Self::ProbePath,
        Self::SpamReferrer,
        Self::HighRate,
        Self::ManyMisses,
        Self::MachineRhythm,
        Self::ManySites,
        Self::SessionOfBot,
        Self::BrowserConfirmed,
        Self::VerifiedCrawler,
        Self::CrawlerPretender,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.rule().0
    }

    /// What it adds to the score; what speaks for a person takes from it.
    #[must_use]
    pub const fn weight(self) -> i8 {
        self.rule().1
    }

    /// What it looks at.
    #[must_use]
    pub const fn evidence(self) -> RuleEvidence {
        self.rule().2
    }

    /// What it says, for people.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.rule().3
    }

    /// The rule with this code.
    #[must_use]
    pub fn with_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    #[rustfmt::skip]
    const fn rule(self) -> (&'static str, i8, RuleEvidence, &'static str) {
        use RuleEvidence::{Address, Behaviour, Headers, Network, Page, UserAgent};
        match self {
            Self::KnownCrawler => ("known_crawler", 100, UserAgent, "the user agent is on the list of crawlers"),
            Self::HttpTool => ("http_tool", 100, UserAgent, "the user agent is that of a program or library"),
            Self::HeadlessBrowser => ("headless_browser", 90, UserAgent, "the browser says that a program drives it"),
            Self::BotWord => ("bot_word", 90, UserAgent, "the user agent calls itself a bot or the like"),
            Self::ContactAddress => ("contact_address", 90, UserAgent, "the user agent says whom to complain to"),
            Self::UnlikeABrowser => ("unlike_a_browser", 60, UserAgent, "no browser's user agent looks so"),
            Self::EmptyUserAgent => ("empty_user_agent", 100, UserAgent, "there is no user agent"),
            Self::ShortUserAgent => ("short_user_agent", 60, UserAgent, "no browser's user agent is so short"),
            Self::LongUserAgent => ("long_user_agent", 60, UserAgent, "no browser's user agent is so long"),
            Self::NeverExisted => ("never_existed", 60, UserAgent, "there has never been this version of the browser or system"),
            Self::UnlikelyVersion => ("unlikely_version", 45, UserAgent, "Chrome's version has hardly had this build"),
            Self::StrangeEnding => ("strange_ending", 50, UserAgent, "behind the browser stands a word that browsers do not write there"),
            Self::NoAcceptLanguage => ("no_accept_language", 50, Headers, "every browser sends Accept-Language"),
            Self::NoAccept => ("no_accept", 30, Headers, "every browser sends Accept"),
            Self::AcceptsAnything => ("accepts_anything", 30, Headers, "who opens a page asks for HTML"),
            Self::NoFetchMetadata => ("no_fetch_metadata", 30, Headers, "browsers of this version send Sec-Fetch headers"),
            Self::NoClientHints => ("no_client_hints", 10, Headers, "browsers of this version send client hints"),
            Self::ContradictingHeaders => ("contradicting_headers", 60, Headers, "the headers contradict the user agent or each other"),
            Self::Prefetch => ("prefetch", 90, Headers, "the page was fetched in case somebody wants it later"),
            Self::HostingNetwork => ("hosting_network", 30, Network, "the address belongs to a hosting provider"),
            Self::AnonymousNetwork => ("anonymous_network", 10, Address, "the address hides its user"),
            Self::ProbePath => ("probe_path", 100, Page, "scanners try this path, and nothing leads to it"),
            Self::SpamReferrer => ("spam_referrer", 90, Page, "a site sends such visits to stand in statistics"),
            Self::HighRate => ("high_rate", 60, Behaviour, "more pages in a time than a person asks for"),
            Self::ManyMisses => ("many_misses", 60, Behaviour, "many pages in a row that are not there"),
            Self::MachineRhythm => ("machine_rhythm", 60, Behaviour, "pages at a machine's rhythm"),
            Self::ManySites => ("many_sites", 60, Behaviour, "one visitor on many sites at once"),
            Self::SessionOfBot => ("session_of_bot", 100, Behaviour, "another visit of the session gave it away"),
            Self::BrowserConfirmed => ("browser_confirmed", -20, Behaviour, "the page's script told that the page was looked at"),
            Self::VerifiedCrawler => ("verified_crawler", 100, Address, "the address is one of the crawler's"),
            Self::CrawlerPretender => ("crawler_pretender", 100, Address, "the address is none of the crawler's that the user agent names"),
        }
    }
}
