//! Email through a real server (aiosmtpd), with STARTTLS, TLS, authentication and refusals.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, clock, first_attempt};

const PACKAGES: [&str; 2] = ["aiosmtpd==1.4.6", "trustme==1.2.1"];

/// A Python environment with the packages of the server, installed on first use.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mail-server");
        let (python, installed) = (folder.join("bin/python"), folder.join("installed"));
        if !installed.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let pip = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ];
            run(Command::new(&python).args(pip).args(PACKAGES));
            std::fs::write(&installed, "").unwrap();
        }
        python
    })
}

fn run(command: &mut Command) {
    let status = command.status();
    let well = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(
        well,
        "{command:?}: {status:?}; Python 3 with venv is needed"
    );
}

struct MailServer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ports: Value,
    authority: PathBuf,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.authority);
    }
}

impl MailServer {
    fn start() -> Self {
        let name = format!("{}.pem", clock().new_id());
        let authority = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/mail_server.py");
        let mut command = Command::new(python());
        command.arg(script).arg(&authority);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ports = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        Self {
            child,
            lines,
            ports,
            authority,
        }
    }

    /// The next accepted mail.
    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn url(&self, door: &str, scheme: &str, password: &str, query: &str) -> String {
        let port = &self.ports[door];
        format!("--smtp-url={scheme}://user:{password}@127.0.0.1:{port}{query}")
    }

    /// Settings that trust the certificate authority of the server.
    fn trusting_args(&self, url: String) -> Vec<String> {
        let authority = format!("--smtp-ca-file={}", self.authority.display());
        vec![url, authority, "--email-from=shop@example.com".into()]
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn starttls_and_tls_carry_the_sign_in_and_the_mail(pool: PgPool) {
    let mut server = MailServer::start();
    let doors = [("starttls", "smtp", "?tls=required"), ("tls", "smtps", "")];
    for (door, scheme, query) in doors {
        let url = server.url(door, scheme, "se%3Acret", query);
        let service = Service::with(&pool, &clock(), &server.trusting_args(url)).await;
        let made = first_attempt(&service, "ann@example.com").await;
        assert_eq!(
            (&made["outcome"], &made["provider_code"]),
            (&json!("sent"), &json!(250))
        );
        let mail = server.mail();
        assert_eq!(mail["to"], json!(["ann@example.com"]), "{door}");
        assert_eq!(
            (&mail["encrypted"], &mail["signed_in"]),
            (&json!(true), &json!(true))
        );
        let text = mail["mail"].as_str().unwrap();
        assert!(
            text.contains("hello") && text.contains("List-Unsubscribe:"),
            "{text}"
        );
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_the_server_refuses_is_told_in_our_words(pool: PgPool) {
    let server = MailServer::start();
    let url = server.url("starttls", "smtp", "se%3Acret", "?tls=required");
    let service = Service::with(&pool, &clock(), &server.trusting_args(url)).await;
    let refused = [
        ("later@example.com", "transient", 451),
        ("full@example.com", "permanent", 552),
        ("nobody@example.com", "gone", 550),
    ];
    for (to, outcome, code) in refused {
        let made = first_attempt(&service, to).await;
        assert_eq!(
            (&made["outcome"], &made["provider_code"]),
            (&json!(outcome), &json!(code))
        );
        assert!(!made.to_string().contains("example.com"), "{made}");
    }
    let spam = json!({"event": "e", "title": "spam", "message": "m", "to": ["ann@example.com"]});
    let (_, sent) = service.notify(spam).await;
    let story = crate::support::until(async || {
        let story = service.read_notification(&sent["id"]).await;
        (story["deliveries"][0]["status"] == "dead").then_some(story)
    });
    let error = "SMTP 554: the server refused the message";
    assert_eq!(story.await["deliveries"][0]["last_error"], error);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn nothing_is_said_to_a_server_that_cannot_be_trusted(pool: PgPool) {
    let mut server = MailServer::start();
    let strict = "?tls=required";
    let stranger = |url| vec![url, "--email-from=shop@example.com".to_owned()];
    let settings = [
        (
            server.trusting_args(server.url("starttls", "smtp", "wrong", strict)),
            "SMTP 535: authentication failed",
        ),
        (
            stranger(server.url("starttls", "smtp", "se%3Acret", strict)),
            "TLS failed or the certificate is not trusted",
        ),
        (
            stranger(server.url("tls", "smtps", "se%3Acret", "")),
            "TLS failed or the certificate is not trusted",
        ),
        (
            server.trusting_args(server.url("plain", "smtp", "se%3Acret", strict)),
            "the server lacks a required feature, such as STARTTLS",
        ),
    ];
    for (settings, why) in settings {
        let service = Service::with(&pool, &clock(), &settings).await;
        let made = first_attempt(&service, "ann@example.com").await;
        assert_eq!(
            (&made["outcome"], &made["detail"]),
            (&json!("config"), &json!(why))
        );
    }
    // The first accepted mail is the permitted one.
    let url = server.url("tls", "smtps", "se%3Acret", "");
    let service = Service::with(&pool, &clock(), &server.trusting_args(url)).await;
    first_attempt(&service, "bob@example.com").await;
    assert_eq!(server.mail()["to"], json!(["bob@example.com"]));
}
