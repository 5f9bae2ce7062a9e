//! Keywords of device types, and where they count.

use std::ops::Range;

use crate::device_type::DeviceType;

/// Keywords of each device type, in lower case. If several types match, the first one wins. A keyword
/// is a word; `*` at its beginning or end stands for any letters and digits.
#[rustfmt::skip]
pub(super) const KEYWORDS: [(DeviceType, &[&str]); 6] = [
    (DeviceType::Wearable, &["apple watch", "watchos", "watch os", "wear os"]),
    (DeviceType::Tv, &[
        "smarttv*", "smart-tv*", "smart tv*", "googletv", "google tv", "appletv*", "apple tv*", "hbbtv",
        "web0s", "webos.tv*", "netcast*", "bravia*", "crkey", "roku*", "androidtv", "android tv", "vizio*",
        "nettv", "philipstv", "tv safari", "opera tv", "viera", "dtv", "mitv*", "mibox*", "tvos",
        "omi", "inettvbrowser", "freebox", "chromecast", "tsbnettv", "maple*", "ce-html", "smarthub",
        "sonycebrowser", "netrange*", "boxee*", "tivo*", "large screen", "vidaa*", "sky_stb", "espial",
        "tv store", "technisat", "wdtv*", "xumo", "whaletv*",
    ]),
    (DeviceType::Console, &["playstation*", "xbox*", "nintendo*", "dreamcast", "steam deck", "psp"]),
    (DeviceType::Tablet, &[
        "ipad*", "tablet;", "tablet)", "tablet ", "playbook", "kindle*", "silk", "touchpad", "nook*", "xoom*",
        "opera tablet", "hp-tablet", "kobo*", "remarkable*", "pocketbook*", "tolino*", "galaxy tab*", "mediapad*",
    ]),
    (DeviceType::Smartphone, &[
        "iphone*", "ipod*", "windows phone*", "iemobile", "*blackberry*", "bb10", "midp*", "*cldc*",
        "opera mini", "opera mobi*", "*symbian*", "*series60*", "*series40*", "up.browser*", "wap2*", "wap ",
        "docomo*", "kddi-*", "softbank*", "vodafone*", "j-phone*", "*netfront*", "*obigo*", "*dolfin*", "kaios*",
        "maemo*", "palmos*", "webos", "windows ce*", "fennec*", "mobile safari", "*ucweb*", "juc*", "brew*",
        "*teleca*", "*openwave*", "bada", "meego*", "minimo*", "avantgo*", "polaris*", "hiptop", "danger",
    ]),
    (DeviceType::Desktop, &[
        "windows nt*", "windows 9*", "win9*", "win32", "win64", "macintosh", "mac_*", "x11", "cros*", "*linux*",
        "*bsd*", "*lynx*", "*links*", "w3m*", "dillo*", "netsurf*", "amiga*", "morphos*", "beos*", "haiku*",
        "sunos*", "os/2*", "risc os*", "syllable*", "windows*", "*mosaic*", "edbrowse*", "konqueror*",
    ]),
];

/// Words in the names of devices.
const MODELS: &str = include_str!("../../data/models.tsv");

pub(super) struct DeviceKeyword {
    pub(super) device_type: DeviceType,
    /// The text to find.
    pub(super) text: &'static str,
    /// Whether it counts in the name of the device only.
    pub(super) is_model: bool,
    starts_anywhere: bool,
    ends_anywhere: bool,
}

impl DeviceKeyword {
    pub(super) fn new(device_type: DeviceType, word: &'static str, is_model: bool) -> Self {
        let text = word.strip_prefix('*').unwrap_or(word);
        let starts_anywhere = text.len() < word.len();
        let bare = text.strip_suffix('*').unwrap_or(text);
        Self {
            device_type,
            text: bare,
            is_model,
            starts_anywhere,
            ends_anywhere: bare.len() < text.len(),
        }
    }

    /// Whether the keyword counts at this place. `device` is the comment that names the device.
    pub(super) fn matches(&self, text: &str, at: Range<usize>, device: &Range<usize>) -> bool {
        let bytes = text.as_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric();
        let is_inside = |place: usize| {
            bytes
                .get(place - 1..=place)
                .is_some_and(|two| two.iter().all(is_word))
        };
        let begins = self.starts_anywhere || at.start == 0 || !is_inside(at.start);
        let ends = self.ends_anywhere || at.end == text.len() || !is_inside(at.end);
        let is_there = !self.is_model || (device.contains(&at.start) && at.end <= device.end);
        // Internet Explorer reports a component of Windows so.
        let is_component = text[at.start..].starts_with("Tablet PC");
        begins && ends && is_there && !is_component
    }
}

/// The words of `data/models.tsv`.
pub(super) fn parse_models() -> impl Iterator<Item = DeviceKeyword> {
    let lines = MODELS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (device_type, word) = line.split_once('\t')?;
        let types = KEYWORDS.iter().map(|(device_type, _)| *device_type);
        let mut types = types.filter(|known| known.as_str() == device_type);
        Some(DeviceKeyword::new(types.next()?, word, true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_type_and_a_word() {
        let lines = MODELS.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(parse_models().count(), lines.count());
        assert!(parse_models().all(|keyword| keyword.text.len() >= 2));
        assert!(parse_models().all(|keyword| keyword.text == keyword.text.to_ascii_lowercase()));
    }
}
