//! Where a complete browser's user agent may contain words of bots by chance.

use std::ops::Range;

/// What a user agent looks like.
#[derive(Clone, Debug)]
pub(super) enum BrowserShape {
    /// No complete browser: every word counts.
    Other,
    /// A browser on a desktop computer.
    Desktop {
        /// Where the products of the browser end and others begin.
        products_end: usize,
    },
    /// A browser or an app on a phone, tablet or television.
    Mobile {
        /// The comment that names the device.
        device: Range<usize>,
    },
}

impl BrowserShape {
    pub(super) fn of(text: &str) -> Self {
        let Some(rest) = text.strip_prefix("Mozilla/5.0 (") else {
            return Self::Other;
        };
        let start = text.len() - rest.len();
        let Some(length) = rest.find(") ") else {
            return Self::Other;
        };
        let (system, products) = (&rest[..length], &rest[length..]);
        let is_engine = products.contains("AppleWebKit/") && products.contains("(KHTML")
            || products.contains("Gecko/") && products.contains("Firefox/");
        if !is_engine || text.contains("ompatible;") {
            return Self::Other;
        }
        let names = |words: &[&str]| words.iter().any(|word| system.contains(word));
        if names(&["Android", "iPhone", "iPad", "iPod", "OpenHarmony", "Tizen"]) {
            // Behind the system, Android names the device.
            let model = system
                .find("Android")
                .map_or(length, |at| at + "Android".len());
            let device = start + model..start + length;
            return Self::Mobile { device };
        }
        let is_browser = ["Chrome/", "Firefox/", "Version/"];
        if names(&["Windows NT", "Macintosh", "X11"])
            && is_browser.iter().any(|name| products.contains(name))
        {
            let ends = ["Chrome/", "Safari/", "Firefox/", "Edg/", "OPR/", "Vivaldi/"].iter();
            let ends = ends.filter_map(|name| Some(products.rfind(name)? + name.len()));
            let products_end = start + length + ends.max().unwrap_or_default();
            return Self::Desktop { products_end };
        }
        Self::Other
    }

    /// Whether a word of bots at this place begins another word, or is a word of its own in the name
    /// of a device (`M bot 51`). Names of bots end with it: `AcmeBot`, `acme-bot/1.0`.
    pub(super) fn excuses(&self, text: &str, at: Range<usize>) -> bool {
        let Self::Mobile { device } = self else {
            return false;
        };
        let (before, rest) = (&text[..at.start], &text[at.end..]);
        let is_own_word = before.ends_with([' ', ';']) && !rest.starts_with(['/', '-']);
        let is_in_name = device.contains(&at.start)
            && (is_own_word || rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        is_in_name || continues(rest)
    }

    /// Whether an address is no contact: extensions write the pages that they work on. A bot puts
    /// its address behind its name or into a comment.
    pub(super) fn excuses_address(&self, text: &str, at: usize) -> bool {
        let Self::Desktop { products_end } = self else {
            return false;
        };
        let before = text.get(*products_end..at);
        before.is_some_and(|before| !before.contains(['(', '/', ';', '+']))
    }
}

/// Whether a word goes on: `Caboto`, `CamScanner`. The plural of a word is the word itself.
fn continues(rest: &str) -> bool {
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    rest.starts_with(|c: char| c.is_ascii_lowercase())
}
