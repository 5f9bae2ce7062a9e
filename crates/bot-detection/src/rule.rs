//! The bot rules with their codes, weights and descriptions.

/// A bot rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BotRule {
    KnownCrawler,
    HttpTool,
    HeadlessBrowser,
    BotWord,
    SuspiciousWord,
    ContactAddress,
    MalformedUserAgent,
    EmptyUserAgent,
    ShortUserAgent,
    LongUserAgent,
    ImpossibleVersion,
    UnlikelyVersion,
    UnknownSuffix,
    NoAcceptLanguage,
    NoAccept,
    AcceptsAnything,
    NoFetchMetadata,
    NoClientHints,
    ContradictingHeaders,
    Prefetch,
    HostingNetwork,
    AnonymousNetwork,
    ProbePath,
    SpamReferrer,
    HighRate,
    ManyMisses,
    MachineRhythm,
    ManySites,
    SessionOfBot,
    /// The only rule with a negative weight: evidence for a person.
    BrowserConfirmed,
    VerifiedCrawler,
    SpoofedCrawler,
}

/// The data that a rule evaluates. Reclassification can apply a rule again only if a visit stores
/// these data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleEvidence {
    /// Stored.
    UserAgent,
    /// Page and referrer. Stored.
    Page,
    /// AS number and organization. Stored.
    Network,
    /// The request headers. Not stored.
    Headers,
    /// Not stored.
    Address,
    /// Other visits of the session or visitor, and the page script.
    Behaviour,
}

impl BotRule {
    pub const ALL: [Self; 32] = [
        Self::KnownCrawler,
        Self::HttpTool,
        Self::HeadlessBrowser,
        Self::BotWord,
        Self::SuspiciousWord,
        Self::ContactAddress,
        Self::MalformedUserAgent,
        Self::EmptyUserAgent,
        Self::ShortUserAgent,
        Self::LongUserAgent,
        Self::ImpossibleVersion,
        Self::UnlikelyVersion,
        Self::UnknownSuffix,
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
        Self::SpoofedCrawler,
    ];

    /// The stable code in the API and the database.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.definition().0
    }

    /// The number that the rule adds to the score. Evidence for a person is negative.
    #[must_use]
    pub const fn weight(self) -> i8 {
        self.definition().1
    }

    #[must_use]
    pub const fn evidence(self) -> RuleEvidence {
        self.definition().2
    }

    /// A description for people, in the API.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.definition().3
    }

    /// Also knows the codes that rules had in earlier versions, for files and rows written by them.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let code = match code {
            "unlike_a_browser" => "malformed_user_agent",
            "never_existed" => "impossible_version",
            "strange_ending" => "unknown_suffix",
            "crawler_pretender" => "spoofed_crawler",
            current => current,
        };
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    #[rustfmt::skip]
    const fn definition(self) -> (&'static str, i8, RuleEvidence, &'static str) {
        use RuleEvidence::{Address, Behaviour, Headers, Network, Page, UserAgent};
        match self {
            Self::KnownCrawler => ("known_crawler", 100, UserAgent, "the user agent is on the list of crawlers"),
            Self::HttpTool => ("http_tool", 100, UserAgent, "the user agent belongs to a program or library"),
            Self::HeadlessBrowser => ("headless_browser", 90, UserAgent, "the user agent says that a program drives the browser"),
            Self::BotWord => ("bot_word", 90, UserAgent, "the user agent contains a word of bots, such as bot, crawler or spider"),
            Self::SuspiciousWord => ("suspicious_word", 60, UserAgent, "the user agent of a browser contains a word that bots use, such as scan or monitor"),
            Self::ContactAddress => ("contact_address", 90, UserAgent, "the user agent contains a contact address"),
            Self::MalformedUserAgent => ("malformed_user_agent", 60, UserAgent, "the user agent is malformed for a browser"),
            Self::EmptyUserAgent => ("empty_user_agent", 100, UserAgent, "the user agent is missing"),
            Self::ShortUserAgent => ("short_user_agent", 60, UserAgent, "the user agent is too short for a browser"),
            Self::LongUserAgent => ("long_user_agent", 60, UserAgent, "the user agent is too long for a browser"),
            Self::ImpossibleVersion => ("impossible_version", 60, UserAgent, "this version of the browser or operating system was never released"),
            Self::UnlikelyVersion => ("unlikely_version", 45, UserAgent, "the build number does not match the version of Chrome"),
            Self::UnknownSuffix => ("unknown_suffix", 50, UserAgent, "the user agent of a desktop browser ends with a word without a version"),
            Self::NoAcceptLanguage => ("no_accept_language", 50, Headers, "the header Accept-Language is missing"),
            Self::NoAccept => ("no_accept", 30, Headers, "the header Accept is missing"),
            Self::AcceptsAnything => ("accepts_anything", 30, Headers, "Accept is */* although the request is for a page"),
            Self::NoFetchMetadata => ("no_fetch_metadata", 30, Headers, "the Sec-Fetch headers, which this browser version sends, are missing"),
            Self::NoClientHints => ("no_client_hints", 10, Headers, "the client hints, which this browser version sends, are missing"),
            Self::ContradictingHeaders => ("contradicting_headers", 60, Headers, "the headers contradict the user agent or each other"),
            Self::Prefetch => ("prefetch", 90, Headers, "the browser fetched the page before the visitor opened it"),
            Self::HostingNetwork => ("hosting_network", 30, Network, "the network belongs to a hosting provider"),
            Self::AnonymousNetwork => ("anonymous_network", 10, Address, "the address hides its user (VPN, proxy or Tor)"),
            Self::ProbePath => ("probe_path", 100, Page, "vulnerability scanners request this path, and no link leads to it"),
            Self::SpamReferrer => ("spam_referrer", 90, Page, "the referring site sends visits only to appear in statistics"),
            Self::HighRate => ("high_rate", 60, Behaviour, "at least 30 visits within 10 seconds, or 120 within 2 minutes"),
            Self::ManyMisses => ("many_misses", 60, Behaviour, "at least 10 responses with status 404 or 410 in a row"),
            Self::MachineRhythm => ("machine_rhythm", 60, Behaviour, "at least 12 gaps between visits in a row differ by at most 2 %"),
            Self::ManySites => ("many_sites", 60, Behaviour, "one visitor requests pages of at least 6 sites within a minute"),
            Self::SessionOfBot => ("session_of_bot", 100, Behaviour, "another visit shows that the session is a bot's"),
            Self::BrowserConfirmed => ("browser_confirmed", -20, Behaviour, "the page script reported that the page was visible for at least a second"),
            Self::VerifiedCrawler => ("verified_crawler", 100, Address, "the address belongs to the crawler that the user agent names"),
            Self::SpoofedCrawler => ("spoofed_crawler", 100, Address, "the address does not belong to the crawler that the user agent names"),
        }
    }
}
