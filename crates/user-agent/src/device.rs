//! What is in the visitor's hands.

use aho_corasick::AhoCorasick;

use super::{ClientHints, UserAgent};

/// Kinds of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceType {
    /// A computer on or under a desk, or on a lap.
    Desktop,
    /// A phone.
    Smartphone,
    /// A tablet, or a reader of books.
    Tablet,
    /// A television, or a box beside one.
    Tv,
    /// A games console.
    Console,
    /// A watch.
    Wearable,
    /// Nothing that a person holds.
    Bot,
    /// Something else.
    #[default]
    Other,
}

impl DeviceType {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Smartphone => "smartphone",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Wearable => "wearable",
            Self::Bot => "bot",
            Self::Other => "other",
        }
    }
}

/// What gives a device away; what stands above decides.
#[rustfmt::skip]
const DEVICE_KEYWORDS: [(DeviceType, &[&str]); 6] = [
    (DeviceType::Wearable, &["apple watch", "watchos", "watch os", "wear os", "sm-r8", "sm-r9", "galaxy watch"]),
    (DeviceType::Tv, &[
        "smarttv", "smart-tv", "smart tv", "googletv", "google tv", "appletv", "apple tv", "hbbtv",
        "web0s", "netcast", "bravia", "; aft", "crkey", "roku", "androidtv", "android tv", "vizio",
        "nettv", "philipstv", "tv safari", "opera tv", "viera", "dtv/", "mitv", "mibox", "tvos",
        "omi/", "inettvbrowser", "freebox", "chromecast", "tsbnettv", "maple", "ce-html",
    ]),
    (DeviceType::Console, &["playstation", "xbox", "nintendo", "dreamcast"]),
    (DeviceType::Tablet, &[
        "ipad", "tablet;", "tablet ", "playbook", "kindle", "silk/", "touchpad", "nook", "xoom", "opera tablet",
        "hp-tablet", "kobo", "remarkable", "pocketbook", "tolino", "galaxy tab", "mediapad",
    ]),
    (DeviceType::Smartphone, &[
        "iphone", "ipod", "windows phone", "iemobile", "blackberry", "bb10", "midp", "cldc",
        "opera mini", "opera mobi", "symbian", "series60", "series40", "up.browser", "wap2", "wap ",
        "docomo", "kddi-", "softbank", "vodafone", "j-phone", "netfront", "obigo", "dolfin", "kaios",
        "maemo", "palmos", "webos/", "windows ce", "fennec", "mobile safari", "ucweb", "juc", "brew",
        "teleca", "openwave", "bada/", "meego", "minimo", "avantgo", "polaris", "hiptop", "danger",
    ]),
    (DeviceType::Desktop, &[
        "windows nt", "windows 9", "win9", "win32", "win64", "macintosh", "mac_", "x11", "cros", "linux", "bsd",
        "lynx", "links", "w3m", "dillo", "netsurf", "amiga", "morphos", "beos", "haiku", "sunos",
        "os/2", "risc os", "syllable", "windows", "mosaic", "edbrowse", "konqueror",
    ]),
];

/// The automaton over all marks.
pub(super) struct DeviceMatcher {
    automaton: AhoCorasick,
    ranks: Vec<usize>,
}

impl Default for DeviceMatcher {
    fn default() -> Self {
        let of_rank = |(rank, (_, words)): (usize, &(DeviceType, &'static [&'static str]))| {
            words.iter().map(move |word| (rank, *word))
        };
        let (ranks, words): (Vec<_>, Vec<_>) =
            DEVICE_KEYWORDS.iter().enumerate().flat_map(of_rank).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(words);
        Self {
            automaton: automaton.expect("a hundred short words make an automaton"),
            ranks,
        }
    }
}

impl DeviceMatcher {
    /// The device of a user agent, which is read already.
    pub(super) fn of(
        &self,
        user_agent: &str,
        agent: &UserAgent,
        hints: Option<&ClientHints>,
    ) -> DeviceType {
        let found = self.automaton.find_overlapping_iter(user_agent);
        let ranks = found.map(|found| self.ranks[found.pattern().as_usize()]);
        let marked = ranks.min().map(|rank| DEVICE_KEYWORDS[rank].0);
        let is_android = agent.os.as_deref() == Some("Android");
        match marked {
            Some(sure @ (DeviceType::Wearable | DeviceType::Tv | DeviceType::Console)) => sure,
            _ if hints.is_some_and(|h| h.has_form("Watch")) => DeviceType::Wearable,
            _ if hints.is_some_and(|h| h.has_form("Tablet") || h.has_form("EInk")) => {
                DeviceType::Tablet
            }
            Some(DeviceType::Tablet) => DeviceType::Tablet,
            _ if is_android => match hints.and_then(ClientHints::is_mobile) {
                Some(true) => DeviceType::Smartphone,
                None if user_agent.contains("Mobi") || user_agent.contains("Opera Mini") => {
                    DeviceType::Smartphone
                }
                _ => DeviceType::Tablet,
            },
            Some(DeviceType::Smartphone) => DeviceType::Smartphone,
            _ if user_agent.contains("Mobile") => DeviceType::Smartphone,
            Some(sure) => sure,
            // A phone from before whose maker is known.
            None if agent.brand.is_some() => DeviceType::Smartphone,
            None => DeviceType::Other,
        }
    }
}
