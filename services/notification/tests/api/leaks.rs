//! The log contains no secret, address or subject, even at the level `trace`.

use std::process::Command;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::smtp::Smtp;
use crate::support::{SECRET, Service, clock, until};
use crate::twilio::{self, Twilio};

/// All targets, including those that the telemetry filter silences by name.
const EVERYTHING: &str = "trace,lettre=trace,lettre::transport::smtp=trace,reqwest=trace,\
    reqwest::connect=trace,hyper=trace,hyper_util=trace,hyper_util::client=trace,\
    hyper_rustls=trace,h2=trace,rustls=trace,sqlx=trace";
/// Prefix of the child's lines on standard error that name a text that must not be logged.
const MARK: &str = "secret: ";

/// Set in the child process, which uses the channels.
const CHILD: &str = "LEAKS_CHILD";

/// Runs itself again in a child process and reads the child's log.
#[sqlx::test(migrator = "notification::MIGRATOR")]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent says that this is the child"
)]
async fn no_secret_address_or_subject_reaches_the_log(pool: PgPool) {
    if std::env::var_os(CHILD).is_some() {
        return use_every_channel(pool).await;
    }
    // The child recreates the database.
    pool.close().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "leaks::no_secret_address_or_subject_reaches_the_log",
        "--exact",
        "--nocapture",
    ]);
    child.env(CHILD, "1").env("RUST_LOG", EVERYTHING);
    let output = child.output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}\n{told}");
    assert!(log.contains("TRACE") && log.contains("attempt"), "{log}");
    let secrets: Vec<_> = told
        .lines()
        .filter_map(|line| line.strip_prefix(MARK))
        .collect();
    assert_eq!(secrets.len(), 31, "{secrets:?}");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is logged: {}", line.unwrap());
    }
}

#[expect(clippy::print_stderr, reason = "the other test reads it there")]
fn is_secret(text: &str) {
    eprintln!("{MARK}{text}");
}

fn secret(text: &str) -> String {
    is_secret(text);
    text.to_owned()
}

/// Sends to each address, and waits for an attempt of each.
async fn send(service: &Service, to: &[String], title: &str, text: &str) {
    let body = json!({"event": "leak", "title": title, "message": text, "to": to,
        "data": {"phone": "+15550109999"}});
    let (status, sent) = service.notify(body).await;
    assert_eq!(status, 202, "{sent}");
    until(async || {
        let story = service.read_notification(&sent["id"]).await;
        let all = story["deliveries"].as_array().unwrap();
        let tried = |one: &Value| one["attempts"].as_array().is_some_and(|a| !a.is_empty());
        all.iter().all(tried).then_some(())
    })
    .await;
}

async fn use_every_channel(pool: PgPool) {
    chassis::telemetry::init();
    is_secret(SECRET);
    is_secret("the-auth-token");
    is_secret("+15550109999");
    let clock = clock();
    let phone = secret("+15550107788");
    is_secret(phone.trim_start_matches('+'));

    // Without a key the log replaces the provider. It shows the text and masks the number.
    let log = Service::with(&pool, &clock, &[]).await;
    let to = [phone.clone(), secret("bob-q71@example.com")];
    send(&log, &to, "Shown", "Shown").await;
    drop(log);

    let sms = Twilio::start(&clock, &[twilio::Reply::Refuse(401, 20003)]).await;
    let part = json!({"status": "0", "message-id": "0A"});
    let vonage = Reply::json(200, &json!({"message-count": "1", "messages": [part]}));
    let vonage = FakeProvider::start(vonage).await;
    let chats = FakeProvider::start(Reply::json(200, &json!({"id": "1", "ok": true}))).await;
    let mail = Smtp::start().await;
    let tokens = json!({"access_token": secret("ya29-m3x"), "expires_in": 3599});
    let tokens = FakeProvider::start(Reply::json(200, &tokens)).await;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    let key = STANDARD.encode(der.as_ref());
    is_secret(&key[100..140]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let account = json!({"type": "service_account", "project_id": "p", "private_key": pem,
        "client_email": "s@p.iam.gserviceaccount.com",
        "token_uri": format!("{}/token", tokens.base)});
    is_secret(&STANDARD.encode("\0mailer-w2\0pw-zr81"));
    let mut args = sms.args();
    args.extend([
        "--sms-provider=twilio,vonage".to_owned(),
        "--vonage-api-key=vkey-77a1".to_owned(),
        format!("--vonage-api-secret={}", secret("vsecret-90ff")),
        format!("--vonage-base-url={}", vonage.base),
        format!("--vonage-reports-url={}", vonage.base),
        "--webhook-private-networks=127.0.0.0/8".to_owned(),
        format!(
            "--smtp-url=smtp://mailer-w2:{}@{}",
            secret("pw-zr81"),
            mail.address
        ),
        "--email-from=Shop <shop@example.com>".to_owned(),
        format!(
            "--vapid-private-key={}",
            secret("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
        ),
        "--vapid-subject=mailto:ops@example.com".to_owned(),
        format!("--telegram-bot-token={}", secret("12:tg-5tq")),
        format!("--telegram-base-url={}", chats.base),
        format!("--ntfy-url={}", chats.base),
        format!("--ntfy-token={}", secret("tk_n8v2")),
        format!("--fcm-credentials={account}"),
        format!("--fcm-base-url={}", chats.base),
    ]);
    let service = Service::with(&pool, &clock, &args).await;
    is_secret(&service.token(&[Scope::NotifySend]));
    is_secret(&service.token(&[Scope::NotifyWrite]));
    let to = addresses(&service, &chats.base, &phone).await;
    send(&service, &to, &secret("Subject-k2w"), &secret("Body-f9d")).await;

    assert!(vonage.calls().len() + tokens.calls().len() + chats.calls().len() > 7);

    // The providers are unavailable, so that errors are logged, too.
    drop((sms, vonage, chats, mail, tokens));
    send(&service, &to, &secret("Subject-h5r"), &secret("Body-u1p")).await;
    clock.advance(TimeDelta::seconds(10));
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// An address on each channel.
async fn addresses(service: &Service, base: &str, phone: &str) -> Vec<String> {
    let url = format!("{base}/hook/{}", secret("hook-c4z"));
    let body = Some(json!({"url": url}));
    let (_, hook) = service.write(Method::POST, "/webhooks", body).await;
    is_secret(hook["secret"].as_str().unwrap());
    let p256dh = secret(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    );
    let browser = json!({"endpoint": format!("{base}/send/{}", secret("browser-x8")),
        "keys": {"p256dh": p256dh, "auth": secret("BTBZMqHH6r4Tts7J_aSIgg")}});
    let browser = service.create("/push/subscriptions", browser).await;
    vec![
        phone.to_owned(),
        secret("ann-t40@example.com"),
        hook["address"].as_str().unwrap().to_owned(),
        format!("push:{browser}"),
        format!("slack:{base}/services/{}", secret("T0/B0/slack-j6")),
        format!("discord:{base}/api/webhooks/1/{}", secret("discord-l2")),
        format!("telegram:{}", secret("774411002")),
        format!("ntfy:{}", secret("topic-e7k")),
        format!("fcm:{}", secret("device-o5n")),
    ]
}
