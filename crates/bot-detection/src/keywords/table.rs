//! The keywords and their meaning.

use crate::BotCategory;
use BotCategory::{
    AiAssistant, Archiver, FeedReader, HttpLibrary, LinkPreview, Monitor, Other, SearchEngine,
    SecurityScanner, SeoTool,
};

/// The meaning of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeywordClass {
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
pub(super) const KEYWORDS: &[(KeywordClass, &[&str])] = &[
    (KeywordClass::Tool, &[
        "curl", "nscurl", "wget", "python", "aiohttp", "httpx", "go-http-client", "go ", "java/", "java1",
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
