//! The types of devices.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceType {
    /// A desktop computer or laptop.
    Desktop,
    Smartphone,
    /// A tablet or e-book reader.
    Tablet,
    /// A television or set-top box.
    Tv,
    /// A games console.
    Console,
    Wearable,
    Bot,
    #[default]
    Other,
}

impl DeviceType {
    /// The name in the API and the database.
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
