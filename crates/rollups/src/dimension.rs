//! What visits are grouped by.

/// A dimension; its number is stored, and is never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "their names in the API say what they are")]
pub enum Dimension {
    /// Everything, without a value.
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
    /// With what it lies in: `GB-ENG/London`, or `SG/Singapore` where no region is known.
    City = 16,
    Browser = 17,
    /// With its browser: `Firefox 144.0`.
    BrowserVersion = 18,
    Os = 19,
    /// With its system: `iOS 17.1`.
    OsVersion = 20,
    DeviceType = 21,
    Language = 22,
    StatusCode = 23,
    /// The hour on the site's clock, with the clock's distance from UTC: `01+02:00`.
    Hour = 24,
    BotName = 25,
    /// A visit may have several.
    BotReason = 26,
    AsOrganization = 27,
    /// Who made the device: `Apple`.
    Brand = 28,
    /// What kind of bot: `search_engine`.
    BotCategory = 29,
    /// Those that the site has named, each with its value: `plan=pro`. A visit may have several, or
    /// none.
    Property = 30,
}

impl Dimension {
    /// Each once, in the order of their numbers.
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

    /// The number that is stored.
    #[must_use]
    pub fn code(self) -> i16 {
        (self as u8).into()
    }

    /// The dimension with this number.
    #[must_use]
    pub fn with_code(code: i16) -> Option<Self> {
        let place = usize::try_from(code).ok()?;
        Self::ALL.get(place).copied()
    }

    /// Its name in the API.
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
            assert_eq!(Dimension::with_code(dimension.code()), Some(dimension));
        }
        assert_eq!(Dimension::with_code(31), None);
        assert_eq!(Dimension::with_code(-1), None);
    }
}
