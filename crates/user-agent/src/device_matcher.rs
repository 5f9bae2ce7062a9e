//! Determines the type of a device by keywords and client hints.

use aho_corasick::AhoCorasick;

use crate::device_type::DeviceType;
use crate::hints::ClientHints;
use crate::user_agent::UserAgent;

/// Keywords of each device type, in lower case. If several types match, the first one wins.
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

/// Finds all [`DEVICE_KEYWORDS`] in one pass.
pub(super) struct DeviceMatcher {
    automaton: AhoCorasick,
    /// For each keyword, the index of its device type in [`DEVICE_KEYWORDS`].
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
            automaton: automaton.expect(
                "an automaton of about a hundred short keywords is far below the size limit",
            ),
            ranks,
        }
    }
}

impl DeviceMatcher {
    /// Returns the device type. `agent` holds the parsed system and brand.
    pub(super) fn device_type(
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
            _ if hints.is_some_and(|h| h.has_form_factor("Watch")) => DeviceType::Wearable,
            _ if hints
                .is_some_and(|h| h.has_form_factor("Tablet") || h.has_form_factor("EInk")) =>
            {
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
            // A feature phone: only the manufacturer is known.
            None if agent.brand.is_some() => DeviceType::Smartphone,
            None => DeviceType::Other,
        }
    }
}
