//! Errors of the settings.

use crate::domain::phone::InvalidPhoneNumber;

/// Invalid or incompatible settings. The messages contain no phone numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{0} is not set; it is required to send text messages with Twilio")]
    MissingForTwilio(&'static str),
    #[error("{0} is not set; it is required to send text messages with Vonage")]
    MissingForVonage(&'static str),
    #[error(
        "SMS_FROM must be a phone number such as +15550100067 or the SID of a messaging service \
         (MG…)"
    )]
    InvalidSender,
    #[error("NOTIFICATION_PHONE_NUMBER is invalid: {0}")]
    InvalidPhoneNumber(InvalidPhoneNumber),
    #[error("LIMIT_PER_CHANNEL must be a list such as sms=200,email=1000")]
    InvalidDailyLimits,
    /// The setting, and an example.
    #[error("{0} must be a list such as {1}")]
    InvalidChannelLimits(&'static str, &'static str),
    #[error("SMS_COST_CAP requires SMS_SEGMENT_PRICE, and both must be greater than 0")]
    InvalidCostCap,
}
