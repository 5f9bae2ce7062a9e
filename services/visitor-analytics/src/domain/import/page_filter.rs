//! Decides which requests of a log are page views. `access_log.py` of the Django package applies
//! the same rules; `access_log_cases.jsonl` tests both.

/// Why a line is not a page view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// An empty line.
    Blank,
    /// Column names or a directive.
    Header,
    /// Not an HTTP request, such as a TLS handshake on the port of HTTP.
    Request,
    /// Another method than `GET`.
    Method,
    /// A redirect, an interim response, or no response.
    Status,
    /// A style sheet, script, image or font.
    Asset,
    /// Audio or video.
    Media,
    Feed,
    Sitemap,
    Robots,
    Manifest,
    Document,
    /// An archive.
    Download,
    /// JSON, XML, plain text and the like.
    Data,
    /// A path below `/.well-known/`.
    WellKnown,
    /// A custom event.
    Event,
    /// A log line about something else than a request.
    Message,
}

/// Extensions by the kind of their files.
const EXTENSIONS: [(SkipReason, &[&str]); 7] = [
    (
        SkipReason::Asset,
        &[
            "css", "js", "mjs", "map", "wasm", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif",
            "ico", "cur", "bmp", "tif", "tiff", "apng", "jxl", "heic", "woff", "woff2", "ttf",
            "otf", "eot",
        ],
    ),
    (
        SkipReason::Media,
        &[
            "mp3", "mp4", "webm", "ogg", "oga", "ogv", "opus", "wav", "flac", "aac", "avi", "mov",
            "mkv", "m4a", "m4v", "m4s", "mpg", "mpeg", "m3u", "m3u8", "mpd", "ts", "vtt", "srt",
        ],
    ),
    (SkipReason::Feed, &["rss", "atom", "rdf"]),
    (
        SkipReason::Manifest,
        &["webmanifest", "manifest", "appcache"],
    ),
    (
        SkipReason::Document,
        &[
            "pdf", "epub", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "rtf",
        ],
    ),
    (
        SkipReason::Download,
        &["zip", "gz", "tgz", "tar", "bz2", "xz", "zst", "7z", "rar"],
    ),
    (
        SkipReason::Data,
        &[
            "json", "jsonld", "geojson", "ndjson", "xml", "txt", "csv", "yaml", "yml", "ics",
        ],
    ),
];

const FEED_FILES: [&str; 5] = ["feed.xml", "rss.xml", "atom.xml", "index.xml", "feed.json"];
const MANIFEST_FILES: [&str; 2] = ["manifest.json", "browserconfig.xml"];

impl SkipReason {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Header => "header",
            Self::Request => "request",
            Self::Method => "method",
            Self::Status => "status",
            Self::Asset => "asset",
            Self::Media => "media",
            Self::Feed => "feed",
            Self::Sitemap => "sitemap",
            Self::Robots => "robots",
            Self::Manifest => "manifest",
            Self::Document => "document",
            Self::Download => "download",
            Self::Data => "data",
            Self::WellKnown => "well_known",
            Self::Event => "event",
            Self::Message => "message",
        }
    }
}

/// Returns why a request is not a page view; `None` if it is one. A page view is a `GET` request
/// for a page that was answered, but not with a redirect.
pub(super) fn skip_reason(method: &str, target: &str, status: Option<u16>) -> Option<SkipReason> {
    if method != "GET" {
        return Some(SkipReason::Method);
    }
    match status {
        None | Some(200..=299 | 304 | 400..=599) => file_kind(target),
        Some(_) => Some(SkipReason::Status),
    }
}

/// The kind of file that a target names; `None` for a page.
fn file_kind(target: &str) -> Option<SkipReason> {
    let path = target.split(['?', '#']).next()?;
    let file = path.rsplit('/').next()?.split(';').next()?;
    let file = file.to_ascii_lowercase();
    if path.starts_with("/.well-known/") {
        return Some(SkipReason::WellKnown);
    }
    let (name, extension) = file.rsplit_once('.')?;
    if file == "robots.txt" {
        return Some(SkipReason::Robots);
    }
    if FEED_FILES.contains(&file.as_str()) {
        return Some(SkipReason::Feed);
    }
    if MANIFEST_FILES.contains(&file.as_str()) {
        return Some(SkipReason::Manifest);
    }
    if name.starts_with("sitemap") && ["xml", "gz", "txt"].contains(&extension) {
        return Some(SkipReason::Sitemap);
    }
    let kind = EXTENSIONS
        .iter()
        .find(|(_, extensions)| extensions.contains(&extension));
    kind.map(|(reason, _)| *reason)
}
