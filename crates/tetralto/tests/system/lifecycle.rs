//! Starting, stopping and killing the system.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::clock::Clock;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::running::{command, data_folder, json as answer, start, wait_for};

fn visit(n: usize) -> Value {
    json!({
        "id": Clock::system().new_id(), "url": format!("https://shop.example/{n}"),
        "ip": "81.2.69.142", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_outlives_a_stop_and_a_kill() {
    let folder = data_folder();
    let first = start(folder.path(), &[]).await;
    let mode = |file: &str| {
        fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(
        (mode("token") & 0o777, mode("jwt-secret") & 0o777),
        (0o600, 0o600)
    );
    assert!(
        !first.output().contains(&first.token),
        "the token is shown on a terminal only"
    );
    answer(first.post(1, "/visits", &visit(1))).await;
    let old_token = first.token.clone();
    assert!(first.stop().await.success());

    let mut second = start(folder.path(), &[]).await;
    second.token = old_token;
    answer(second.post(1, "/visits", &visit(2))).await;
    second.signal(Signal::KILL);
    second.wait_for_exit().await;

    let third = start(folder.path(), &[]).await;
    let visits = third.visits().await;
    let paths: Vec<_> = visits
        .iter()
        .map(|visit| visit["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/2", "/1"]);
    assert_eq!(visits[0]["session_id"], visits[1]["session_id"]);
    let pid = fs::read_to_string(folder.path().join("postgres/postmaster.pid")).unwrap();
    let process = format!("/proc/{}", pid.lines().next().unwrap());
    assert!(third.stop().await.success());
    if cfg!(target_os = "linux") {
        wait_for("the end of PostgreSQL", async || {
            (!fs::exists(&process).unwrap()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_system_on_the_same_folder_or_port_says_what_is_wrong() {
    let folder = data_folder();
    let first = start(folder.path(), &[]).await;
    let said = command(folder.path(), &[]).output().unwrap();
    assert!(!said.status.success());
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        error.starts_with("tetralto: ") && error.contains("postgres"),
        "{error}"
    );

    let other = crate::running::data_folder();
    let port = ("GEO_PORT", first.ports[0].to_string());
    let said = command(other.path(), &[port]).output().unwrap();
    assert!(!said.status.success());
    let log = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        log.contains(&format!("cannot listen on port {}", first.ports[0])),
        "{log}"
    );
    assert!(first.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_stops_the_start_and_is_named() {
    let folder = data_folder();
    let cases = [
        ("GEO_PORT", "abc", "--geo-port"),
        ("JWT_SECRETS", "short", "JWT_SECRETS"),
        ("NOTIFY_MAX_AGE", "soon", "--notify-max-age"),
        ("GEOIP_DATABASES", "/nowhere/x.mmdb", "GEOIP_DATABASES"),
        ("SMS_PROVIDER", "pigeon", "--sms-provider"),
        (
            "NOTIFICATION_PHONE_NUMBER",
            "12",
            "NOTIFICATION_PHONE_NUMBER",
        ),
    ];
    for (name, value, named) in cases {
        let said = command(folder.path(), &[(name, value.into())])
            .output()
            .unwrap();
        assert!(!said.status.success(), "{name}");
        let text = [said.stdout, said.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(named), "{name}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_made_for_a_client_allows_what_it_says() {
    let folder = data_folder();
    let system = start(folder.path(), &[]).await;
    let token = |scope: &str| {
        let mut command = command(folder.path(), &[]);
        command.args(["token", "--sub", "django", "--scope", scope, "--days", "1"]);
        let said = command.output().unwrap();
        assert!(said.status.success());
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let url = format!("http://127.0.0.1:{}/visits", system.ports[1]);
    let (write, read) = (token("visits:write"), token("visits:read"));
    let post = |token: &str| {
        system
            .http
            .post(&url)
            .bearer_auth(token)
            .json(&visit(1))
            .send()
    };
    let get = |token: &str| system.http.get(&url).bearer_auth(token).send();
    assert_eq!(post(&write).await.unwrap().status(), 201);
    assert_eq!(post(&read).await.unwrap().status(), 403);
    assert_eq!(get(&read).await.unwrap().status(), 200);
    assert_eq!(get(&write).await.unwrap().status(), 403);
    assert!(system.stop().await.success());
}
