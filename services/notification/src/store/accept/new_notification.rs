//! A notification that is to be stored.

use crate::domain::notification::Notification;
use crate::store::idempotency_key::IdempotencyKey;

#[derive(Clone, Debug)]
pub struct NewNotification {
    pub notification: Notification,
    pub idempotency_key: Option<IdempotencyKey>,
}
