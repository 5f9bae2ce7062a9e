//! A service: its routes, the common endpoints, its background workers, and the server loop with a
//! graceful shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use common::clock::Clock;
use common::jwt::TokenVerifier;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;

use crate::health::HealthChecks;
use crate::openapi::complete;
use crate::request_observer::{RequestObserver, observe_request};
use crate::server::{self, ConnectionLimits};
use crate::settings::KeyArgs;
use crate::{Problem, http_client, jwks, metrics};

/// Maximum size of a body after decompression.
pub const MAX_BODY_BYTES: usize = 1_572_864;

/// Bound on the time that a shutdown waits for requests, and then for workers.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

type BackgroundWorker = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

type StartupCheck = BoxFuture<'static, anyhow::Result<()>>;

/// A service, ready to be served.
pub struct App {
    pub name: &'static str,
    pub router: Router,
    workers: Vec<(&'static str, BackgroundWorker)>,
    shutdown_token: CancellationToken,
    observer: Arc<RequestObserver>,
    startup_checks: Vec<StartupCheck>,
    limits: ConnectionLimits,
}

impl App {
    /// Builds a service from its routes. Adds health, metrics, `OpenAPI`, and problems for unknown
    /// paths and methods.
    #[must_use]
    pub fn new(
        name: &'static str,
        about: &str,
        api: OpenApiRouter,
        health: HealthChecks,
        clock: Clock,
    ) -> Self {
        let (api, openapi) = api.split_for_parts();
        let openapi = complete(openapi, name, about);
        let docs = utoipa_swagger_ui::SwaggerUi::new("/docs").url("/openapi.json", openapi);
        // The recorder must be installed before the first metric is recorded.
        let _ = metrics::recorder();
        let observer = Arc::new(RequestObserver::new(name, clock));
        let router = api
            .merge(docs)
            .route("/health", {
                let health = health.clone();
                get(async move || health.report(name).await)
            })
            .route(
                "/health/live",
                get(async || Json(serde_json::json!({"status": "ok"}))),
            )
            .route("/metrics", {
                get(async move || {
                    health.collect_gauges(name).await;
                    metrics::render(name)
                })
            })
            .fallback(async || Problem::not_found("this path does not exist; see /docs"))
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(observer.clone(), observe_request));
        let workers = vec![];
        Self {
            name,
            router,
            workers,
            shutdown_token: CancellationToken::new(),
            observer,
            startup_checks: vec![],
            limits: ConnectionLimits::default(),
        }
    }

    /// Sets the connection limits.
    #[must_use]
    pub fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Cancels `closing` when the shutdown begins. Endless responses, such as live streams, must
    /// then end.
    #[must_use]
    pub fn with_shutdown_token(mut self, closing: CancellationToken) -> Self {
        self.shutdown_token = closing;
        self
    }

    /// Adds a check that runs before the first connection is accepted. If the check fails, the
    /// service does not start.
    #[must_use]
    pub fn with_startup_check(
        mut self,
        check: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        self.startup_checks.push(Box::pin(check));
        self
    }

    /// Adds a background worker. Its token is cancelled after the last request; the worker must
    /// then end soon.
    #[must_use]
    pub fn with_worker<F>(
        mut self,
        name: &'static str,
        run: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers
            .push((name, Box::new(|stop| Box::pin(run(stop)))));
        self
    }

    /// Adds a worker that refreshes the public keys of `verifier`, if the settings name a key set.
    pub fn with_jwks(self, keys: &KeyArgs, verifier: TokenVerifier) -> reqwest::Result<Self> {
        let Some(url) = keys.jwks_url.clone() else {
            return Ok(self);
        };
        let http = http_client::build("tetralto")?;
        Ok(self.with_worker("keys", |stop| {
            jwks::refresh_periodically(url, verifier, http, stop)
        }))
    }

    /// Serves until `shutdown`. Then stops accepting connections, finishes the accepted requests,
    /// stops the workers, and returns. It is an error if a worker ends earlier, because the service
    /// would appear to work without it.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let name = self.name;
        let span = tracing::info_span!("service", name);
        for check in self.startup_checks {
            check.await?;
        }
        let mut workers = JoinSet::new();
        let stop = CancellationToken::new();
        for (worker, run) in self.workers {
            let span = tracing::info_span!(parent: &span, "worker", worker);
            workers.spawn(run(stop.clone()).instrument(span));
        }
        workers.spawn(run_metrics_upkeep(stop.clone()));

        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        tracing::info!(service = name, port = address.port(), "listening");
        let in_time = async {
            shutdown.cancelled().await;
            self.shutdown_token.cancel();
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        };
        let served = async {
            server::serve(listener, self.router, self.limits, shutdown.clone()).await;
            self.observer.wait_until_idle().await;
        };
        tokio::select! {
            () = served => {}
            () = in_time => tracing::warn!(service = name, "shutdown: aborted requests that took longer than {DRAIN_TIMEOUT:?}"),
            ended = workers.join_next() => {
                ended.transpose().with_context(|| format!("a worker of {name} panicked"))?;
                anyhow::bail!("a worker of {name} ended unexpectedly");
            }
        }
        stop.cancel();
        let ended = tokio::time::timeout(DRAIN_TIMEOUT, async {
            while workers.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!(
                service = name,
                "shutdown: aborted workers that took longer than {DRAIN_TIMEOUT:?}"
            );
        }
        tracing::info!(service = name, "stopped");
        Ok(())
    }
}

/// Listens on all IPv6 and IPv4 addresses, or on IPv4 alone if the machine has no IPv6.
pub fn listen(port: u16) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let bind = |domain, address: SocketAddr| -> std::io::Result<TcpListener> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        TcpListener::from_std(socket.into())
    };
    let every = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
    bind(Domain::IPV6, every)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse | std::io::ErrorKind::PermissionDenied => Err(error),
            _ => bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into()),
        })
        .with_context(|| format!("cannot listen on port {port}"))
}

/// Histograms keep all samples until they are read or compacted. This bounds their memory if
/// nothing reads the metrics.
async fn run_metrics_upkeep(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => metrics::recorder().run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

async fn method_not_allowed() -> Problem {
    let detail = "this path does not support the request method; see /docs";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail)
}
