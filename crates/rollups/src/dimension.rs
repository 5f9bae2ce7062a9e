//! Dimensions: attributes by which rollups group visits.

/// A dimension. Its number is stored and must never be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Dimension {
    /// All visits, without a value.
    Total = 0,
    Page = 1,
    Title = 2,
    EntryPage = 3,
    ExitPage = 4,
    Referrer = 5,
    Source = 6,
    Medium = 7,
    Channel = 8,
    UtmSource = 9,
    UtmMedium = 10,
    UtmCampaign = 11,
    UtmTerm = 12,
    UtmContent = 13,
    /// ISO 3166-1: `GB`.
    Country = 14,
    /// ISO 3166-2: `GB-ENG`.
    Region = 15,
    /// Qualified by the region, `GB-ENG/London`, or by the country if the region is unknown,
    /// `SG/Singapore`.
    City = 16,
    Browser = 17,
    /// Qualified by the browser: `Firefox 144.0`.
    BrowserVersion = 18,
    Os = 19,
    /// Qualified by the operating system: `iOS 17.1`.
    OsVersion = 20,
    DeviceType = 21,
    Language = 22,
    StatusCode = 23,
    /// The hour of local time with its offset from UTC: `01+02:00`.
    Hour = 24,
    BotName = 25,
    /// The code of a rule; a visit may have several.
    BotReason = 26,
    AsOrganization = 27,
    /// The brand of the device: `Apple`.
    Brand = 28,
    /// The category of the bot: `search_engine`.
    BotCategory = 29,
    /// A property that the site has selected, with its value: `plan=pro`. A visit may have several
    /// or none.
    Property = 30,
}

impl Dimension {
    /// All dimensions in the order of their numbers.
    pub const ALL: [Self; 31] = [
        Self::Total,
        Self::Page,
        Self::Title,
        Self::EntryPage,
        Self::ExitPage,
        Self::Referrer,
        Self::Source,
        Self::Medium,
        Self::Channel,
        Self::UtmSource,
        Self::UtmMedium,
        Self::UtmCampaign,
        Self::UtmTerm,
        Self::UtmContent,
        Self::Country,
        Self::Region,
        Self::City,
        Self::Browser,
        Self::BrowserVersion,
        Self::Os,
        Self::OsVersion,
        Self::DeviceType,
        Self::Language,
        Self::StatusCode,
        Self::Hour,
        Self::BotName,
        Self::BotReason,
        Self::AsOrganization,
        Self::Brand,
        Self::BotCategory,
        Self::Property,
    ];

    /// The stored number.
    #[must_use]
    pub fn code(self) -> i16 {
        (self as u8).into()
    }

    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        let place = usize::try_from(code).ok()?;
        Self::ALL.get(place).copied()
    }

    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Page => "page",
            Self::Title => "title",
            Self::EntryPage => "entry_page",
            Self::ExitPage => "exit_page",
            Self::Referrer => "referrer",
            Self::Source => "source",
            Self::Medium => "medium",
            Self::Channel => "channel",
            Self::UtmSource => "utm_source",
            Self::UtmMedium => "utm_medium",
            Self::UtmCampaign => "utm_campaign",
            Self::UtmTerm => "utm_term",
            Self::UtmContent => "utm_content",
            Self::Country => "country",
            Self::Region => "region",
            Self::City => "city",
            Self::Browser => "browser",
            Self::BrowserVersion => "browser_version",
            Self::Os => "os",
            Self::OsVersion => "os_version",
            Self::DeviceType => "device_type",
            Self::Language => "language",
            Self::StatusCode => "status_code",
            Self::Hour => "hour",
            Self::BotName => "bot_name",
            Self::BotReason => "bot_reason",
            Self::AsOrganization => "as_organization",
            Self::Brand => "brand",
            Self::BotCategory => "bot_category",
            Self::Property => "property",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_dimensions() {
        for (place, dimension) in Dimension::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(dimension.code()), Ok(place));
            assert_eq!(Dimension::from_code(dimension.code()), Some(dimension));
        }
        assert_eq!(Dimension::from_code(31), None);
        assert_eq!(Dimension::from_code(-1), None);
    }
}
