//! Client of notification.

use chassis::service_client::{ServiceClient, ServiceClientError};
use chrono::NaiveDate;
use common::notification::{ErasureRequest, ErasureResponse, NotifyRequest, NotifyResults};
use common::visitor_analytics::{VISITOR_ARRIVED, VisitorArrived};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The event that reports that new sites are refused.
const SITE_LIMIT_EVENT: &str = "sites.limit_reached";

#[derive(Clone, Debug)]
pub struct NotificationClient(ServiceClient);

impl NotificationClient {
    /// Creates a client. The tokens of `peer` need the scope `notify:send`.
    #[must_use]
    pub fn new(peer: ServiceClient) -> Self {
        Self(peer)
    }

    /// Announces visitors, each with its session. The session's id is the idempotency key, so that
    /// a repetition has no effect. Returns for each the notification's id, or the reason of a
    /// permanent refusal.
    pub async fn announce(
        &self,
        events: &[(Uuid, &VisitorArrived)],
    ) -> Result<Vec<Result<Option<Uuid>, String>>, ServiceClientError> {
        if events.is_empty() {
            return Ok(vec![]);
        }
        let requests = events.iter().map(|(session, arrived)| NotifyRequest {
            event: Some(VISITOR_ARRIVED.into()),
            data: to_object(arrived),
            idempotency_key: Some(format!("{VISITOR_ARRIVED}:{session}")),
            ..NotifyRequest::default()
        });
        let requests: Vec<_> = requests.collect();
        self.notify(&requests).await
    }

    /// Reports that sites were refused on `day`; the day is the idempotency key. Returns the reason
    /// of a permanent refusal, if there is one.
    pub async fn notify_site_limit(
        &self,
        day: NaiveDate,
        most: u32,
    ) -> Result<Option<String>, ServiceClientError> {
        let message = format!(
            "Visits named more than {most} new sites within 24 hours on {day}. Further sites are \
             refused. Add a site with POST /sites, or raise MAX_NEW_SITES_PER_DAY."
        );
        let request = NotifyRequest {
            event: Some(SITE_LIMIT_EVENT.into()),
            title: Some("New sites are refused".into()),
            message: Some(message),
            idempotency_key: Some(format!("{SITE_LIMIT_EVENT}:{day}")),
            ..NotifyRequest::default()
        };
        Ok(self.notify(&[request]).await?.pop().and_then(Result::err))
    }

    /// Returns for each request the notification's id, or the reason of a permanent refusal.
    async fn notify(
        &self,
        requests: &[NotifyRequest],
    ) -> Result<Vec<Result<Option<Uuid>, String>>, ServiceClientError> {
        let response: NotifyResults = self.0.post("/notify", &requests, None).await?;
        if response.results.len() != requests.len() {
            return Err(ServiceClientError::InvalidResponse(
                "results are missing".into(),
            ));
        }
        let results = response.results.into_iter();
        let results = results.map(|result| match result.error {
            None => Ok(result.id),
            Some(error) => Err(error.detail),
        });
        Ok(results.collect())
    }

    /// Requests the erasure of a person. The request is idempotent.
    pub async fn erase(
        &self,
        request: &ErasureRequest,
    ) -> Result<ErasureResponse, ServiceClientError> {
        self.0.post("/erasures", request, None).await
    }
}

fn to_object(arrived: &VisitorArrived) -> Map<String, Value> {
    match serde_json::to_value(arrived) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("a struct serializes to an object"),
    }
}
