//! Keywords in user agents, found in one pass: words of bots, and words of browsers that resemble
//! them.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{BotCategory, BotRule};
use BotCategory::{
    AiAssistant, Archiver, FeedReader, HeadlessBrowser, HttpLibrary, LinkPreview, Monitor, Other,
    SearchEngine, SecurityScanner, SeoTool,
};

/// The meaning of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeywordClass {
    /// The name of a program or library. Counts at the beginning only.
    Tool,
    /// A browser that a program drives.
    Headless,
    /// The name of a service whose user agent otherwise looks like a browser's.
    Service(BotCategory),
    /// A word that only bots use.
    Word(BotCategory),
    /// A word of bots that also occurs in names of phones and their apps. At the end, where
    /// programs sign, it is a [`KeywordClass::Word`].
    Hint(BotCategory),
    /// A word of bots that counts at the end only.
    Signature(BotCategory),
    /// The name of a real browser or phone that contains a [`KeywordClass::Word`]. Cancels it.
    FalsePositive,
    /// An address for complaints.
    Contact,
    /// An address in the user agent of a real browser. Cancels a [`KeywordClass::Contact`].
    FalsePositiveContact,
    /// The start of a browser's user agent. Counts at the beginning only.
    BrowserPrefix,
    /// A word that only browsers use.
    Engine,
    /// An operating system. Programs name it too.
    System,
    /// A phone or another personal device.
    Phone,
    /// Occurs in browsers of phones, whose manufacturers add arbitrary words and addresses.
    PhoneBuild,
    /// The start of a bot's description of itself.
    Compatible,
}

#[rustfmt::skip]
const KEYWORDS: &[(KeywordClass, &[&str])] = &[
    (KeywordClass::Tool, &[
        "curl", "wget", "python", "aiohttp", "httpx", "go-http-client", "go ", "java/", "java1",
        "okhttp", "apache-httpclient", "jakarta", "libwww", "lwp", "ruby", "php", "guzzle", "axios",
        "node", "undici", "got/", "got ", "postman", "insomnia", "reqwest", "powershell", "perl",
        "http", "rest-client", "restsharp", "faraday", "typhoeus", "winhttp", "colly", "scrapy",
        "hyper/", "ureq", "deno/", "bun/", "dart/", "jersey", "unirest", "cpp-httplib", "lua-",
        "libcurl", "pycurl", "urllib", "mechanize", "zgrab", "nmap", "masscan", "sqlmap", "nikto",
        "microsoft url control", "microsoft-webdav", "rpt-http", "ab/",
    ]),
    (KeywordClass::Headless, &[
        "headless", "phantomjs", "puppeteer", "playwright", "selenium", "webdriver", "slimerjs",
        "htmlunit", "jsdom", "zombie.js", "nightmare", "wkhtmlto", "casperjs", "cypress",
        "cutycapt", "rendertron", "prerender",
    ]),
    (KeywordClass::Service(Monitor), &[
        "ptst", "dareboost", "catchpoint", "gtmetrix", "dejaclick", "dmbrowser", "statuscake",
        "gomezagent", "pingdom", "site24x7", "alertsite", "ruxitsynthetic", "thousandeyes",
        "newrelic", "synthetic", "lighthouse", "page speed", "pagespeed", "speedcurve", "datadog",
        "appdynamics", "websitepulse", "uptime", "keynote", "yottaa", 
        "watchmouse", "revealuptime", "panopta", "nagios", "zabbix", "healthcheck", "health-check", "health check", "healthchecker",
    ]),
    (KeywordClass::Service(LinkPreview), &[
        "websnapr", "iframely", "embedly", "thumbnail", "screenshot", "webshot",
        "facebookexternal", "skypeuripreview", "onebox", "linkexpand", "imgproxy",
        "imageproxy", "link check", "linkcheck", "outbrain", "vkshare",
    ]),
    (KeywordClass::Service(SeoTool), &[
        "brandverity", "adbeat", "datanyze", "builtwith", "wappalyzer", "seostats", "semrush",
        "ahrefs", "majestic", "moz.com", "sistrix", "seokicks", "screaming frog", "adsbot",
        "backlink", "siteaudit", "site audit", "domaintools", "silktide", "siteimprove", "foregenix", "scope3",
    ]),
    (KeywordClass::Service(SecurityScanner), &[
        "burpcollaborator", "netcraft", "nessus", "acunetix", "qualys", "censys", "shodan",
        "zgrab", "nuclei", "wpscan", "netsystemsresearch", "internet-measurement", "expanse",
        "palo alto", "detectify", "sucuri", "nimbostratus", "(select ", "${jndi", "<script",
        "sniff", "clamav", "openvas", "watchtowr", "jorgee",
    ]),
    (KeywordClass::Service(Archiver), &["archivebox", "heritrix", "httrack", "webcopier", "teleport", "webzip"]),
    (KeywordClass::Service(AiAssistant), &["chatgpt-user", "claude-user", "perplexity-user", "mistralai-user"]),
    (KeywordClass::Service(SearchEngine), &[
        "slurp", "teoma", "ask jeeves", "yandex.com/bots", "yandex.translate", "google favicon", "google-", "googleother",
        "google web", "google search console", "apis-google", "feedburner", "mediapartners",
        "duplexweb", "scoutjet", "yeti/", "daum/", "daum ", "ichiro", "naverbot", "infoseek",
        "altavista", "lycos", "inktomi", "gigablast",
    ]),
    (KeywordClass::Service(HttpLibrary), &[
        "httpclient", "http-client", "http client", "http_client", "http_request", "libwww-perl",
        "winhttprequest", "nutch", "larbin", "scrapy", "guzzlehttp", "webclient",
        "urllib", "node-fetch", "axios", "indy library", "snoopy", "simplepie", "magpierss",
    ]),
    (KeywordClass::Word(Other), &["bot", "crawl", "spider", "fetch", "scrap", "+http", "webmaster"]),
    (KeywordClass::Word(Monitor), &["monitor", "pinger"]),
    (KeywordClass::Word(FeedReader), &["feed", "subscriber"]),
    (KeywordClass::Word(SecurityScanner), &["scan"]),
    (KeywordClass::Word(Archiver), &["archiv"]),
    (KeywordClass::Word(LinkPreview), &["preview"]),
    (KeywordClass::Hint(Other), &[
        "spyder", "slurp", "harvest", "indexer",
        "collector", "downloader", "extract", "grabber", "ripper", "siphon", "sweep", "parser",
        "validat", "checker", "verif", "tracker", "inspect", "survey", "research", "agent/",
        "useragent", "user-agent", "user agent", "automat", "script", "library",
        "search engine", "linksleuth", "link sleuth", "worm", "mirror", "finder", "locator",
        "compatible;)", "capture", "reader/", "reaper", "explorador", "searcher", "searchengine", "webster",
        "favicon", "import", "explorer_", "discover", "classif",
        "lookup", "detector", "watcher", "mapper", "trawl", "sitemap", "whois", "optimizer", "analyz", "analys", "probe", "antivirus", "nikto",
        "-agent", "imgproxy", "emailproxy", "rb.gy", "(at)", "shots", "-snapshot", "check", "audit",
        " test", "-test", "tester", "testing", "speedtest", "pagetest", "index", "domain", "market", "metric", "measur", "statistic", "insight", "intelligence",
        "performance", "quality", "compliance", "copyright", "plagiar", "threat", "malware", "phish",
        "spam", "abuse", "advert", "ranking", "render", "hosting", "wordpress", "jetpack", "robo",
    ]),
    (KeywordClass::Hint(AiAssistant), &["-user/"]),
    (KeywordClass::Hint(FeedReader), &["rss", "podcast", "aggregator", "atom/", "newsreader"]),
    (KeywordClass::Hint(Monitor), &["heartbeat", "status"]),
    (KeywordClass::Hint(SecurityScanner), &["vulnerab", "pentest"]),
    (KeywordClass::Hint(SeoTool), &["seo"]),
    (KeywordClass::Signature(Other), &["agent"]),
    (KeywordClass::FalsePositive, &[
        "cubot", "bothnia", "mozacfetch", "feeddaemon", "mozilladeveloperpreview",
    ]),
    (KeywordClass::PhoneBuild, &["build/", "midp", "j2me"]),
    (KeywordClass::Compatible, &["compatible;"]),
    (KeywordClass::Contact, &["http://", "https://", "www."]),
    (KeywordClass::FalsePositiveContact, &[
        "http://bsalsa.com", "www.bsalsa.com", "www.proxomitron.de", "http://www.avantbrowser.com",
    ]),
    (KeywordClass::BrowserPrefix, &[
        "opera/", "opera ", "lynx", "links ", "elinks", "w3m/", "dillo/", "netsurf",
        "ibrowse", "amiga", "voyager", "ncsa_mosaic", "ncsa mosaic", "icab", "ucweb/", "qupzilla",
        "microsoft office", "outlook-", "konqueror", "browsex", "emacs", "offbyone",
        "hotjava", "galeon", "epiphany", "android ", "midori", "arora", "surf/", "juc", "lg", "sony", "gt-", "asus",
        "kyocera", "itunes/", "audiovox", "archos", "(sony", "acer", "kwc-", "lumia", "edbrowse",
        "quicktime", "cyberdog", "ice browser", "avant browser", "chrome", "firefox", "offline",
    ]),
    (KeywordClass::Engine, &[
        "gecko", "applewebkit", "msie", "trident", "khtml", "presto/", "browser", "mmp/", "wap",
        "netfront", "msoffice", "opera", "netscape", "[en]",
    ]),
    (KeywordClass::System, &[
        "windows", "win9", "win1", "win3", "winnt", "macintosh", "mac_",
        "x11", "linux", "unix", "bsd", "sunos", "os/2", "amiga", "morphos", "beos", "haiku",
        "risc os", "inferno", "psp", "plan9", "qnx", "warp", "foma", "dreamcast", "rim9",
    ]),
    (KeywordClass::Phone, &[
        "midp-", "midp/", "cldc", "up.browser", "up.link", "opera mini", "android",
        "iphone", "ipad", "ipod", "ios/", "ios ", "watchos", "tvos", "darwin/", "symbian",
        "series60", "series40", "blackberry", "obigo", "teleca", "j2me", "windows ce",
        "windows phone", "iemobile", "playstation", "nintendo", "webos", "web0s", "tizen",
        "dalvik/", "brew", "bada", "dolfin", "openwave", "polaris", "jasmine", "maui",
        "nokia", "samsung", "sonyericsson", "motorola", "mot-", "lg-", "lge-", "sie-", "sec-",
        "alcatel", "docomo/", "kddi-", "softbank", "vodafone", "j-phone", "sharp", "panasonic",
        "philips", "sagem", "pantech", "huawei", "zte", "htc", "xiaomi", "lenovo", "mtk", "nucleus",
        "roku", "smarttv", "smart-tv", "appletv", "apple tv", "hbbtv", "kaios", "palm", "danger",
        "jig browser", "avantgo", "upg1", "coolpad", "spreadtrum", "browserng",
        "ucbrowser", "wave/", "240x320", "haier", "amoi", "bird", "gionee", "k-touch", "dopod",
    ]),
];

/// Finds all [`KEYWORDS`] in one pass.
pub(super) struct KeywordMatcher {
    automaton: AhoCorasick,
    /// The class of each keyword.
    classes: Vec<KeywordClass>,
}

/// The result of the keywords in a user agent.
#[derive(Debug, Default)]
pub(super) struct KeywordVerdict {
    /// The rule that fires.
    pub(super) reason: Option<BotRule>,
    /// The word that contains the keyword, without its version.
    pub(super) name: Option<String>,
    pub(super) category: Option<BotCategory>,
    /// Whether the user agent begins like a browser's or names an engine or a personal device.
    pub(super) looks_like_browser: bool,
}

/// The keywords found in one user agent.
#[derive(Default)]
struct KeywordHits {
    tool: Option<Range<usize>>,
    headless: Option<Range<usize>>,
    service: Option<(Range<usize>, BotCategory)>,
    word: Option<(Range<usize>, BotCategory)>,
    hint: Option<(Range<usize>, BotCategory)>,
    /// The number of bots' words, less those that a browser's name contains.
    word_count: i32,
    /// The number of addresses, less those in real browsers' user agents.
    contact_count: i32,
    /// The other classes, each once.
    other_classes: Vec<KeywordClass>,
}

impl Default for KeywordMatcher {
    fn default() -> Self {
        let of_sense = |(sense, words): &(KeywordClass, &'static [&'static str])| {
            let sense = *sense;
            words.iter().map(move |word| (sense, *word))
        };
        let (senses, words): (Vec<_>, Vec<_>) = KEYWORDS.iter().flat_map(of_sense).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(words);
        Self {
            automaton: automaton
                .expect("an automaton of a few hundred short keywords is far below the size limit"),
            classes: senses,
        }
    }
}

impl KeywordMatcher {
    pub(super) fn find(&self, text: &str) -> KeywordVerdict {
        let mut met = KeywordHits::default();
        for found in self.automaton.find_overlapping_iter(text) {
            let sense = match self.classes[found.pattern().as_usize()] {
                KeywordClass::Hint(category) | KeywordClass::Signature(category)
                    if found.end() == text.len() =>
                {
                    KeywordClass::Word(category)
                }
                other => other,
            };
            met.add(sense, found.range());
        }
        if met.contact_count <= 0 && has_email_address(text) {
            met.contact_count = 1;
        }
        met.into_verdict(text)
    }
}

impl KeywordHits {
    fn add(&mut self, sense: KeywordClass, at: Range<usize>) {
        match sense {
            KeywordClass::Tool if at.start == 0 => self.tool = Some(at),
            KeywordClass::Headless => self.headless = Some(at),
            KeywordClass::Service(category) => _ = self.service.get_or_insert((at, category)),
            KeywordClass::Word(category) => {
                self.word_count += 1;
                self.word.get_or_insert((at, category));
            }
            KeywordClass::FalsePositive => self.word_count -= 1,
            KeywordClass::Contact => self.contact_count += 1,
            KeywordClass::FalsePositiveContact => self.contact_count -= 1,
            KeywordClass::Hint(category) => _ = self.hint.get_or_insert((at, category)),
            KeywordClass::Tool | KeywordClass::Signature(_) => {}
            KeywordClass::BrowserPrefix if at.start > 0 => {}
            other if self.has_class(other) => {}
            other => self.other_classes.push(other),
        }
    }

    fn has_class(&self, sense: KeywordClass) -> bool {
        self.other_classes.contains(&sense)
    }

    fn into_verdict(self, text: &str) -> KeywordVerdict {
        let is_phone = self.has_class(KeywordClass::Phone);
        let is_like_browser = is_phone
            || self.has_class(KeywordClass::BrowserPrefix)
            || self.has_class(KeywordClass::Engine)
            || text.starts_with("Mozilla") && self.has_class(KeywordClass::System);
        let is_compatible = self.has_class(KeywordClass::Compatible);
        let is_build = self.has_class(KeywordClass::PhoneBuild);
        let word = self.word.filter(|_| self.word_count > 0);
        let hint = self.hint.filter(|_| !is_phone || is_compatible);
        let word = word.or(hint);
        let has_contact = self.contact_count > 0 && (!is_build || is_compatible);
        let fired = self
            .tool
            .map(|at| (BotRule::HttpTool, at, HttpLibrary))
            .or_else(|| {
                self.headless
                    .map(|at| (BotRule::HeadlessBrowser, at, HeadlessBrowser))
            })
            .or_else(|| {
                self.service
                    .map(|(at, kind)| (BotRule::KnownCrawler, at, kind))
            })
            .or_else(|| word.map(|(at, kind)| (BotRule::BotWord, at, kind)));
        if let Some((reason, at, category)) = fired {
            return KeywordVerdict {
                reason: Some(reason),
                name: enclosing_product_name(text, at).or_else(|| first_product_name(text)),
                category: Some(category),
                looks_like_browser: is_like_browser,
            };
        }
        KeywordVerdict {
            reason: has_contact.then_some(BotRule::ContactAddress),
            name: first_product_name(text),
            category: has_contact.then_some(Other),
            looks_like_browser: is_like_browser,
        }
    }
}

const MAX_BOT_NAME_BYTES: usize = 40;

/// Returns the product name around a keyword: `AcmeBot` in `AcmeBot/1.0`.
fn enclosing_product_name(text: &str, mark: Range<usize>) -> Option<String> {
    let ends = |c: char| !(c.is_alphanumeric() || "-_.!".contains(c));
    let from = text[..mark.start].rfind(ends);
    let from = from.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    let to = text[mark.end..]
        .find(ends)
        .map_or(text.len(), |at| mark.end + at);
    let name = text[from..to].trim_matches(|c: char| !c.is_alphanumeric());
    let named = name.contains(char::is_alphabetic) && name.len() <= MAX_BOT_NAME_BYTES;
    named.then(|| name.to_owned())
}

/// Returns the first product name: `Acme` in `Acme/1.0` and `Mozilla/5.0 (compatible; Acme/1.0)`.
fn first_product_name(text: &str) -> Option<String> {
    let named = |text: &str| {
        let text = text.trim_start();
        let end = text.find(['/', ' ', ';', '(', ')', ',']);
        let name = &text[..end.unwrap_or(text.len())];
        let sound = name.contains(char::is_alphabetic) && name.len() <= MAX_BOT_NAME_BYTES;
        sound.then(|| name.to_owned())
    };
    if text.starts_with("Mozilla") {
        let (_, after) = text.rsplit_once("ompatible;")?;
        return named(after);
    }
    named(text)
}

/// Whether the text contains an e-mail address such as `help@example.com`. A browser's
/// `android@150.0.0.0` is none.
fn has_email_address(text: &str) -> bool {
    if !text.contains('@') {
        return false;
    }
    let parts = |c: char| c.is_whitespace() || ";,()<>[]".contains(c);
    text.split(parts).any(|word| {
        let domain = word.split_once('@').map_or("", |(_, domain)| domain);
        let end = domain.rsplit_once('.').map_or("", |(_, end)| end);
        domain.starts_with(|c: char| c.is_ascii_alphabetic())
            && domain
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
            && (2..=12).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphabetic())
    })
}
