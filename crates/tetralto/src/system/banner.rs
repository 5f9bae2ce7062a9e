//! The banner that is printed after the start.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use crate::postgres::Cluster;

pub struct StartupBanner<'a> {
    /// The ports of geo, visitor-analytics and notification.
    pub ports: [u16; 3],
    pub database: &'a str,
    /// One line for each stand-in of a provider.
    pub stand_ins: Vec<String>,
    /// A token with every scope.
    pub token: &'a str,
    /// Days until the token expires.
    pub token_days: i64,
    pub data_dir: &'a Path,
}

/// Describes the database for the banner.
pub fn describe(cluster: Option<&Cluster>, data_dir: &Path) -> String {
    let Some(cluster) = cluster else {
        return "PostgreSQL at DATABASE_URL".into();
    };
    let place = cluster.data_dir();
    let folder = data_dir.join("postgres");
    let usual = folder.canonicalize().is_ok_and(|folder| folder == place);
    let place = if usual { &folder } else { place };
    let version = cluster.version();
    format!("PostgreSQL {version}, private, in {}", place.display())
}

impl StartupBanner<'_> {
    /// If standard output cannot be written (full disk, closed pipe), the system still starts.
    pub fn print(&self) {
        // The token is only shown on a terminal, so that no log contains it.
        let for_a_person = std::io::stdout().is_terminal();
        let mut out = std::io::stdout().lock();
        let written = out.write_all(self.text(for_a_person).as_bytes());
        if let Err(error) = written.and_then(|()| out.flush()) {
            drop(out);
            tracing::warn!(%error, "cannot write the start banner to standard output");
        }
    }

    fn text(&self, with_token: bool) -> String {
        let [geo, visits, notification] = self.ports;
        let file = self.data_dir.join("token");
        let file = file.display();
        let stand_ins = if self.stand_ins.is_empty() {
            "  none: all providers are configured\n".to_owned()
        } else {
            let line = |text: &String| format!("  {text}\n");
            self.stand_ins.iter().map(line).collect()
        };
        let days = self.token_days;
        let token = if with_token {
            format!(
                "Token (all scopes, valid for {days} days; also in {file})\n  {}\n",
                self.token
            )
        } else {
            format!("Token (all scopes, valid for {days} days)\n  saved to {file}\n")
        };
        format!(
            r#"
TetraltoRail is running. Press Ctrl-C to stop it.

  geo                 http://localhost:{geo}/docs
  visitor-analytics   http://localhost:{visits}/docs
  notification        http://localhost:{notification}/docs
  database            {database}

Stand-ins (local replacements for providers without settings)
{stand_ins}
{token}
Try it: record a visit from London
  curl -s localhost:{visits}/visits -H "Authorization: Bearer $(cat {file})" \
    -H 'Content-Type: application/json' -d '{{"url": "https://example.com/pricing",
      "ip": "81.2.69.142", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"}}'

"#,
            database = self.database,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_shown_to_people_only() {
        let banner = StartupBanner {
            ports: [8001, 8002, 8003],
            database: "PostgreSQL",
            stand_ins: vec!["SMS: printed".into()],
            token: "a.b.c",
            token_days: 365,
            data_dir: Path::new("./data"),
        };
        assert!(banner.text(true).contains("\n  a.b.c\n"));
        let log = banner.text(false);
        assert!(!log.contains("a.b.c") && log.contains("./data/token"));
        assert!(log.contains("\n  SMS: printed\n"));
    }
}
