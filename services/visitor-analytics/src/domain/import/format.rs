//! The formats of imported files.

/// The format of an imported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// An access log in the combined format of Apache and nginx, or in one of its variants.
    Combined,
    /// An access log in the common format, without referrer and user agent.
    Common,
    /// An access log of nginx whose `log_format` writes JSON.
    NginxJson,
    /// An access log of Caddy (JSON).
    Caddy,
    /// An access log of Traefik (JSON or its common format).
    Traefik,
    /// A W3C extended log file, such as those of IIS and `CloudFront`.
    W3c,
    /// CSV as exported.
    Csv,
    /// A JSON object per line, as exported or as in `POST /visits`.
    Ndjson,
    /// The table `website_event` of Umami as CSV.
    Umami,
}

/// All formats, in the order of the documentation.
pub(super) const IMPORT_FORMATS: [ImportFormat; 9] = [
    ImportFormat::Combined,
    ImportFormat::Common,
    ImportFormat::NginxJson,
    ImportFormat::Caddy,
    ImportFormat::Traefik,
    ImportFormat::W3c,
    ImportFormat::Csv,
    ImportFormat::Ndjson,
    ImportFormat::Umami,
];

/// The names of all formats, for texts.
pub const FORMAT_NAMES: &str = "`auto`, `combined`, `common`, `nginx_json`, `caddy`, `traefik`, \
    `w3c`, `csv`, `ndjson`, `umami`";

impl ImportFormat {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        IMPORT_FORMATS
            .into_iter()
            .find(|format| format.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Common => "common",
            Self::NginxJson => "nginx_json",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::W3c => "w3c",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Umami => "umami",
        }
    }

    /// Whether the lines do not say to which site they belong. A host in a log comes from the
    /// client, so it does not name the site.
    #[must_use]
    pub fn needs_site(self) -> bool {
        !matches!(self, Self::Csv | Self::Ndjson)
    }
}
