//! HTTP client for another service of the system, with a token, the request id, a timeout and a
//! circuit breaker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::jwt::TokenIssuer;
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::circuit_breaker::{BreakerPolicy, BreakerState, CircuitBreaker};
use crate::request;

/// Opens when half of the latest calls failed.
const BREAKER_POLICY: BreakerPolicy = BreakerPolicy {
    window: 10,
    max_failures: 5,
    open_duration: Duration::from_secs(2),
};

/// Client of another service.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    http: reqwest::Client,
    base_url: Url,
    token_issuer: Arc<TokenIssuer>,
    timeout: Duration,
    breaker: Arc<CircuitBreaker<Instant>>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceClientError {
    /// The service did not respond, or the circuit breaker is open.
    #[error("the service is unavailable: {0}")]
    Unavailable(String),
    /// The service responded with an error status.
    #[error("the service responded with {status} {code}")]
    ErrorStatus {
        status: StatusCode,
        /// The code of the problem, or empty.
        code: String,
    },
    /// The response body does not match the API.
    #[error("the service sent an invalid response: {0}")]
    InvalidResponse(String),
}

impl ServiceClientError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::InvalidResponse(_) => true,
            Self::ErrorStatus { status, .. } => {
                // 401 and 403 are temporary while keys are rotated.
                status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429)
            }
        }
    }
}

impl ServiceClient {
    /// Creates a client for the service at `base_url`. Calls carry tokens of `issuer` and time
    /// out after `timeout`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        base_url: Url,
        issuer: TokenIssuer,
        timeout: Duration,
    ) -> Self {
        Self {
            http,
            base_url,
            token_issuer: issuer.into(),
            timeout,
            breaker: Arc::new(CircuitBreaker::new(BREAKER_POLICY)),
        }
    }

    /// Sends a POST request with a JSON body and parses the JSON response.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        idempotency_key: Option<&str>,
    ) -> Result<T, ServiceClientError> {
        if let BreakerState::Open(_) = self.breaker.admit(Instant::now()) {
            let reason = "the circuit breaker is open".into();
            return Err(ServiceClientError::Unavailable(reason));
        }
        let response = self.send(path, body, idempotency_key).await;
        match &response {
            Err(error) if counts_as_failure(error) => self.breaker.record_failure(Instant::now()),
            _ => self.breaker.record_success(),
        }
        response
    }

    async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        idempotency_key: Option<&str>,
    ) -> Result<T, ServiceClientError> {
        let url = self
            .base_url
            .join(path)
            .map_err(|e| ServiceClientError::Unavailable(e.to_string()))?;
        let mut call = self.http.post(url).timeout(self.timeout).json(body);
        if let Some(token) = self.token_issuer.token() {
            call = call.bearer_auth(token);
        }
        if let Some(key) = idempotency_key {
            call = call.header("idempotency-key", key);
        }
        if let Some(context) = request::current() {
            call = call.header(request::REQUEST_ID, context.id);
            if let Some(trace) = context.traceparent {
                call = call.header(request::TRACEPARENT, trace);
            }
        }
        let response = call
            .send()
            .await
            .map_err(|error| unavailable_error(&error))?;
        let status = response.status();
        if !status.is_success() {
            let code = problem_code(response).await;
            return Err(ServiceClientError::ErrorStatus { status, code });
        }
        let unreadable = |error: reqwest::Error| {
            ServiceClientError::InvalidResponse(error.without_url().to_string())
        };
        response.json().await.map_err(unreadable)
    }
}

/// Whether the circuit breaker counts an error: no response or a 5xx. A 4xx is our own mistake.
fn counts_as_failure(error: &ServiceClientError) -> bool {
    match error {
        ServiceClientError::Unavailable(_) | ServiceClientError::InvalidResponse(_) => true,
        ServiceClientError::ErrorStatus { status, .. } => status.is_server_error(),
    }
}

fn unavailable_error(error: &reqwest::Error) -> ServiceClientError {
    let what = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection was closed"
    };
    ServiceClientError::Unavailable(what.into())
}

async fn problem_code(response: reqwest::Response) -> String {
    let body: serde_json::Value = response.json().await.unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}
