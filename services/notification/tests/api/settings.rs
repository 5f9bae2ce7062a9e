//! Invalid settings prevent the start and are named.

use chassis::settings::try_parse;
use common::clock::Clock;
use notification::config::Config;

use crate::support::SECRET;

const ACCOUNT: &str = "AC00000000000000000000000000000000";
const KEY: &str = "SK00000000000000000000000000000000";

/// The error with which the service does not start.
fn start_error(settings: &[&str]) -> String {
    let mut arguments = vec!["notification".to_owned()];
    for usual in [
        format!("--jwt-secrets={SECRET}"),
        "--database-url=postgres://localhost/x".into(),
    ] {
        let name = usual.split('=').next().unwrap();
        if !settings.iter().any(|setting| setting.starts_with(name)) {
            arguments.push(usual);
        }
    }
    arguments.extend(settings.iter().map(|setting| (*setting).to_owned()));
    let config: Config = match try_parse(arguments) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    match notification::build(&config, Clock::system()) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn those_that_cannot_work_are_refused_by_name() {
    let (account, key) = (
        format!("--twilio-account-sid={ACCOUNT}"),
        format!("--twilio-api-key-sid={KEY}"),
    );
    let (account, key) = (account.as_str(), key.as_str());
    let two_lines = format!("--jwt-secrets={SECRET}\r\n{SECRET}");
    let cases: &[(&[&str], &str)] = &[
        (&["--port=70000"], "--port"),
        (&["--database-url=mysql://localhost/x"], "DATABASE_URL"),
        (&["--database-url=postgres://localhost:x/x"], "DATABASE_URL"),
        (&["--database-connections=1"], "--database-connections"),
        (&["--jwt-secrets=short"], "JWT_SECRETS"),
        (&[&two_lines], "separate secrets by commas"),
        (&["--jwt-private-key=x"], "JWT_PRIVATE_KEY"),
        (&["--jwks-url=keys.example"], "http://keys.example"),
        (&["--jwks-url=ftp://keys.example/a"], "--jwks-url"),
        (&["--sms-provider=fax"], "--sms-provider"),
        (&["--sms-api-key=k"], "TWILIO_ACCOUNT_SID"),
        (&["--sms-api-key=k", account], "SMS_FROM"),
        (&["--sms-api-key=k", account, "--sms-from=Shop"], "SMS_FROM"),
        (&[account], "--sms-api-key"),
        (&[key], "--sms-api-key"),
        (&["--twilio-account-sid=x"], "--twilio-account-sid"),
        (&["--vonage-api-key=k"], "--vonage-api-secret"),
        (&["--vonage-api-secret=s"], "--vonage-api-key"),
        (&["--sms-provider=vonage"], "VONAGE_API_KEY"),
        (&["--sms-timeout=0"], "--sms-timeout"),
        (
            &["--notification-phone-number=555-0100"],
            "NOTIFICATION_PHONE_NUMBER",
        ),
        (&["--smtp-url=smtp://localhost"], "--email-from"),
        (
            &["--smtp-url=http://localhost", "--email-from=a@b.example"],
            "SMTP_URL",
        ),
        (
            &["--smtp-url=smtp://localhost", "--email-from=nobody"],
            "EMAIL_FROM",
        ),
        (&["--smtp-ca-file=/x"], "--smtp-url"),
        (&["--smtp-helo=mail.example.com"], "--smtp-url"),
        (
            &[
                "--smtp-url=smtp://localhost",
                "--email-from=a@b.example",
                "--smtp-helo=my host",
            ],
            "--smtp-helo",
        ),
        (&["--vapid-private-key=x"], "VAPID_SUBJECT or PUBLIC_URL"),
        (
            &[
                "--vapid-private-key=x",
                "--vapid-subject=mailto:a@b.example",
            ],
            "VAPID_PRIVATE_KEY must be a key",
        ),
        (
            &["--vapid-subject=mailto:a@b.example"],
            "--vapid-private-key",
        ),
        (&["--fcm-credentials={}"], "FCM_CREDENTIALS"),
        (&["--webhook-secrets-key=x"], "WEBHOOK_SECRETS_KEY"),
        (
            &["--webhook-private-networks=10.0.0.0/99"],
            "--webhook-private-networks",
        ),
        (&["--limit-per-day=0"], "--limit-per-day"),
        (&["--limit-per-recipient=-5"], "--limit-per-recipient"),
        (&["--limit-per-channel=fax=1"], "LIMIT_PER_CHANNEL"),
        (&["--limit-per-channel=sms=0"], "LIMIT_PER_CHANNEL"),
        (
            &["--sms-segment-price=-0.01"],
            "an amount greater than 0, such as 0.0079",
        ),
        (&["--sms-segment-price=NaN"], "--sms-segment-price"),
        (&["--sms-cost-cap=5"], "--sms-segment-price"),
        (
            &["--sms-cost-cap=-5", "--sms-segment-price=1"],
            "--sms-cost-cap",
        ),
        (&["--channel-concurrency=sms=0"], "CHANNEL_CONCURRENCY"),
        (&["--channel-rate=sms=-1"], "CHANNEL_RATE"),
        (
            &["--notification-retention-days=1"],
            "--notification-retention-days",
        ),
    ];
    for (settings, named) in cases {
        let said = start_error(settings);
        assert!(said.contains(named), "{settings:?}: {said:?}");
    }
}

#[tokio::test]
async fn addresses_that_cannot_work_are_refused_by_name() {
    for name in [
        "twilio-base-url",
        "vonage-base-url",
        "vonage-reports-url",
        "telegram-base-url",
        "ntfy-url",
        "fcm-base-url",
        "public-url",
    ] {
        for wrong in ["host:8000", "ftp://host", "http://host/?a=1", ""] {
            let said = start_error(&[&format!("--{name}={wrong}")]);
            assert!(said.contains(name), "{name} {wrong:?}: {said:?}");
        }
        let said = start_error(&[&format!("--{name}=http://me:hunter2@host")]);
        assert!(
            said.contains(name) && !said.contains("hunter2"),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn those_that_can_be_understood_are() {
    let padded = format!("--jwt-secrets= {SECRET} ,{SECRET}\r\n");
    let account = format!("--twilio-account-sid={ACCOUNT}\n");
    for settings in [
        &[padded.as_str()][..],
        &["--database-url= postgres://me:secret@[::1]:5432/x\n"],
        &["--ntfy-url=https://ntfy.example/behind/a/proxy"],
        &["--sms-api-key=k\n", &account, "--sms-from=+15550100001"],
    ] {
        assert_eq!(start_error(settings), "", "{settings:?}");
    }
    let ipv6 = ["n", "--database-url=postgres://me@[2001:db8::1]:5433/x"];
    let config: Config = try_parse(ipv6).unwrap();
    let pool = config.database.pool("x").unwrap();
    let options = pool.connect_options();
    assert_eq!(
        (options.get_host(), options.get_port()),
        ("2001:db8::1", 5433)
    );
}
