//! Telling notification about visitors.

use chassis::peer::{Peer, PeerError};
use common::notification::{NotifyRequest, NotifyResponse};
use common::visitor_analytics::{VISITOR_ARRIVED, VisitorArrived};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The notification service.
#[derive(Clone, Debug)]
pub struct Notifier(Peer);

impl Notifier {
    /// Over a peer whose tokens may send notifications.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// Tells that a visitor has arrived; a session that was told already is not told again.
    pub async fn tell(&self, session: Uuid, arrived: &VisitorArrived) -> Result<(), PeerError> {
        let request = NotifyRequest {
            event: VISITOR_ARRIVED.into(),
            data: object(arrived),
            ..NotifyRequest::default()
        };
        let key = format!("{VISITOR_ARRIVED}:{session}");
        let _: NotifyResponse = self.0.post("/notify", &request, Some(&key)).await?;
        Ok(())
    }
}

fn object(arrived: &VisitorArrived) -> Map<String, Value> {
    match serde_json::to_value(arrived) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("a struct with text keys serialises to an object"),
    }
}
