//! Configures, migrates, serves and stops the three services.

use chassis::app::listen;
use chassis::settings::{KeyArgs, try_parse};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::banner::StartupBanner;
use super::data_folder;
use crate::cli::SystemArgs;
use crate::token;
use common::clock::Clock;
use common::jwt::{Keyring, Scope};

/// Days until the token in the data folder expires. Each start writes a new token.
const TOKEN_DAYS: i64 = 365;

pub struct ServiceRunner {
    pub args: SystemArgs,
    pub keys: KeyArgs,
    pub database_url: SecretString,
    /// Description of the database for the banner.
    pub database: String,
}

struct ServiceConfigs {
    geo: geo::config::Config,
    visitor_analytics: visitor_analytics::config::Config,
    notification: notification::config::Config,
}

impl ServiceRunner {
    /// Runs until `stop`. visitor-analytics stops first, because it needs the other services to
    /// finish the work that it has accepted.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let geo_port = listen(self.args.geo_port)?;
        let visits_port = listen(self.args.visitor_analytics_port)?;
        let notification_port = listen(self.args.notification_port)?;
        let configs = self.configure(&geo_port, &notification_port)?;
        let clock = Clock::system();
        let geo = geo::build(&configs.geo, clock.clone())?;
        let visits = visitor_analytics::build(&configs.visitor_analytics, clock.clone())?;
        let notification = notification::build(&configs.notification, clock)?;
        tokio::try_join!(
            geo::migrate(&configs.geo),
            visitor_analytics::migrate(&configs.visitor_analytics),
            notification::migrate(&configs.notification),
        )?;
        self.print_banner([&geo_port, &visits_port, &notification_port], &configs)?;

        let others = CancellationToken::new();
        let visits = async {
            let served = visits.serve(visits_port, stop.clone()).await;
            others.cancel();
            served
        };
        let stopped = |ended: anyhow::Result<()>| {
            // If one service fails, the others stop too.
            stop.cancel();
            ended
        };
        let geo = async { stopped(geo.serve(geo_port, others.clone()).await) };
        let notification =
            async { stopped(notification.serve(notification_port, others.clone()).await) };
        tokio::try_join!(visits, geo, notification)?;
        Ok(())
    }

    fn configure(
        &self,
        geo_port: &TcpListener,
        notification: &TcpListener,
    ) -> anyhow::Result<ServiceConfigs> {
        let keys = self.key_arguments();
        let database = secret_argument("database-url", &self.database_url);
        let with = |name: &str, more: &[String]| -> Vec<String> {
            let own = [name.to_owned(), "--port=0".to_owned()];
            own.into_iter()
                .chain(keys.clone())
                .chain(more.to_vec())
                .collect()
        };
        let peers = [
            format!("--geo-service-url=http://127.0.0.1:{}", port(geo_port)?),
            format!(
                "--notification-service-url=http://127.0.0.1:{}",
                port(notification)?
            ),
            database.clone(),
        ];
        let mut geo: geo::config::Config = try_parse(with("geo", std::slice::from_ref(&database)))?;
        let downloads = || self.args.data_dir.join("geoip");
        geo.updates.geoip_data_dir.get_or_insert_with(downloads);
        if self.args.database_url.is_none() {
            // The private database is on the same disk, so a second copy has no use.
            let keeps = &mut geo.updates.geoip_keep_in_postgres;
            keeps.get_or_insert(geo::config::Switch::Off);
        }
        Ok(ServiceConfigs {
            geo,
            visitor_analytics: try_parse(with("visitor-analytics", &peers))?,
            notification: try_parse(with("notification", &[database]))?,
        })
    }

    fn key_arguments(&self) -> Vec<String> {
        let secrets = self.keys.jwt_secrets.iter();
        let mut arguments: Vec<_> = secrets.map(|s| secret_argument("jwt-secrets", s)).collect();
        let private = self.keys.jwt_private_key.iter();
        arguments.extend(private.map(|pem| secret_argument("jwt-private-key", pem)));
        arguments
    }

    fn print_banner(
        &self,
        listeners: [&TcpListener; 3],
        configs: &ServiceConfigs,
    ) -> anyhow::Result<()> {
        let keys = self.keys.keyring()?;
        let token = self.write_token(&keys)?;
        let [geo, visitor_analytics, notification] = listeners;
        let stand_ins = configs.geo.stand_ins().into_iter();
        StartupBanner {
            ports: [port(geo)?, port(visitor_analytics)?, port(notification)?],
            database: &self.database,
            stand_ins: stand_ins.chain(configs.notification.stand_ins()).collect(),
            token: token.expose_secret(),
            token_days: TOKEN_DAYS,
            data_dir: &self.args.data_dir,
        }
        .print();
        Ok(())
    }

    fn write_token(&self, keys: &Keyring) -> anyhow::Result<SecretString> {
        let token = token::sign_token(keys, "owner", &Scope::ALL, &[], TOKEN_DAYS)?;
        data_folder::write_secret(&self.args.data_dir.join("token"), &token)?;
        Ok(token.into())
    }
}

fn port(listener: &TcpListener) -> anyhow::Result<u16> {
    Ok(listener.local_addr()?.port())
}

/// Passes a secret as an argument to a service within this process; no other process sees it.
fn secret_argument(name: &str, secret: &SecretString) -> String {
    format!("--{name}={}", secret.expose_secret())
}
