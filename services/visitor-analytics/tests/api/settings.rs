//! Invalid settings prevent the start and are named.

use chassis::settings::try_parse;
use common::clock::Clock;
use visitor_analytics::config::Config;

use crate::support::SECRET;

/// The error with which the service does not start.
fn start_error(settings: &[&str]) -> String {
    let mut arguments = vec!["visitor-analytics".to_owned()];
    for usual in [
        format!("--jwt-secrets={SECRET}"),
        "--database-url=postgres://localhost/x".into(),
        "--geo-service-url=http://geo:8000".into(),
        "--notification-service-url=http://notification:8000".into(),
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
    match visitor_analytics::build(&config, Clock::system()) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn those_that_cannot_work_are_refused_by_name() {
    let two_lines = format!("--jwt-secrets={SECRET}\n{SECRET}");
    let cases = [
        ("--port=-1", "--port"),
        ("--database-url=localhost/x", "DATABASE_URL"),
        ("--database-connections=201", "--database-connections"),
        ("--jwt-secrets=short", "JWT_SECRETS"),
        (&two_lines, "separate secrets by commas"),
        ("--jwt-private-key=x", "JWT_PRIVATE_KEY"),
        ("--jwks-url=keys.example:80", "http://keys.example:80"),
        ("--geo-service-url=geo:8000", "http://geo:8000"),
        ("--geo-service-url=ftp://geo:8000", "the scheme ftp"),
        (
            "--geo-service-url=http://geo:8000/v1",
            "without the path: http://geo:8000",
        ),
        ("--geo-service-url=", "--geo-service-url"),
        (
            "--notification-service-url=notification:8000",
            "http://notification:8000",
        ),
        (
            "--notification-service-url=https://a.example/b",
            "without the path",
        ),
        ("--notify-max-age=15", "--notify-max-age"),
        ("--notify-max-age=-1m", "--notify-max-age"),
        ("--notify-when=never", "--notify-when"),
        ("--crawler-ranges=googlebot.json", "--crawler-ranges"),
        ("--crawler-ranges=Googlebot=/no/such/file", "CRAWLER_RANGES"),
        ("--crawler-dns=maybe", "--crawler-dns"),
        ("--crawler-dns-server=dns.example", "--crawler-dns-server"),
        ("--visitor-id=weekly", "--visitor-id"),
        ("--store-ip=some", "--store-ip"),
        ("--respect-dnt=maybe", "--respect-dnt"),
        ("--retention-days=0", "--retention-days"),
        ("--retention-days=-1", "--retention-days"),
    ];
    for (setting, named) in cases {
        let said = start_error(&[setting]);
        assert!(said.contains(named), "{setting}: {said:?}");
    }
    for name in ["geo-service-url", "notification-service-url"] {
        let said = start_error(&[&format!("--{name}=http://me:hunter2@host")]);
        assert!(
            said.contains(name) && !said.contains("hunter2"),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn those_that_can_be_understood_are() {
    let padded = format!("--jwt-secrets={SECRET}\r\n, {SECRET}");
    for setting in [
        padded.as_str(),
        "--database-url=postgres://me:secret@[::1]/x\n",
        "--geo-service-url=http://[::1]:8001/",
        "--geo-service-url= http://geo.railway.internal:8000 ",
        "--notify-max-age=2h",
    ] {
        assert_eq!(start_error(&[setting]), "", "{setting}");
    }
}
