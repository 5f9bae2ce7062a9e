//! visitor-analytics as a separate process that uses the other services and the database of a
//! running system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bench::{MeasuredProcess, free_port};

use crate::running::RunningSystem;

/// Settings of the replicas.
pub struct ReplicaSettings {
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl ReplicaSettings {
    /// Settings for replicas of the system with this data folder.
    pub fn new(system: &RunningSystem, data_dir: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tetralto")).with_file_name("visitor-analytics");
        let build = "`cargo build --workspace --bin visitor-analytics` makes it";
        assert!(
            program.exists(),
            "{} is missing: {build}",
            program.display()
        );
        let peer = |service: usize| format!("http://127.0.0.1:{}", system.ports[service]);
        let secret = fs::read_to_string(data_dir.join("jwt-secret")).unwrap();
        let variables = vec![
            ("DATABASE_URL", super::postgres::database_url(data_dir)),
            ("GEO_SERVICE_URL", peer(0)),
            ("NOTIFICATION_SERVICE_URL", peer(2)),
            ("JWT_SECRETS", secret.trim().to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        Self { program, variables }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `visitor-analytics verify`.
    pub fn verify(&self) -> Output {
        self.command().arg("verify").output().unwrap()
    }
}

/// A replica, which keeps its port after a restart.
pub struct Replica<'a> {
    settings: &'a ReplicaSettings,
    process: Option<MeasuredProcess>,
    port: u16,
}

impl<'a> Replica<'a> {
    pub async fn start(settings: &'a ReplicaSettings) -> Self {
        let mut replica = Self {
            settings,
            process: None,
            port: free_port(),
        };
        replica.restart().await;
        replica
    }

    /// The URL for visits.
    pub fn visits_url(&self) -> String {
        format!("http://127.0.0.1:{}/visits", self.port)
    }

    /// Kills the replica and starts a new one. Returns when the new one listens.
    pub async fn restart(&mut self) {
        // Dropping the process kills it.
        self.process = None;
        let mut command = self.settings.command();
        command.env("PORT", self.port.to_string());
        self.process = Some(MeasuredProcess::start(command, self.port).await);
    }
}
