//! The settings of MaxMind's web service.

use std::process::Command;

use crate::support::{SECRET, database, try_config};

fn arguments(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// What the program says when it does not start with these variables.
fn refusal(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_geo"))
        .env_clear()
        .env("JWT_SECRETS", SECRET)
        .env("PORT", "0")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_missing_or_wrong_stops_the_start_and_is_named() {
    let id = ("MAXMIND_ACCOUNT_ID", "42");
    let key = ("MAXMIND_API_KEY", "a-secret-key");
    let empty = ("MAXMIND_API_KEY", "");
    assert!(refusal(&[id]).contains("MAXMIND_API_KEY"));
    assert!(refusal(&[id, empty]).contains("MAXMIND_API_KEY"));
    assert!(refusal(&[key]).contains("MAXMIND_ACCOUNT_ID"));
    for (variable, value) in [
        ("MAXMIND_ACCOUNT_ID", "me@example.com"),
        ("MAXMIND_HOST", "http://geolite.info"),
        ("MAXMIND_HOST", "https://geolite.info/geoip/v2.1"),
        ("MAXMIND_DAILY_LOOKUPS", "many"),
    ] {
        let text = refusal(&[id, key, (variable, value)]);
        assert!(text.contains(variable), "{text}");
        assert!(!text.contains("a-secret-key"), "{text}");
    }
}

#[test]
fn free_accounts_are_the_default() {
    let given = arguments(&["--maxmind-account-id=42", "--maxmind-api-key=a-secret-key"]);
    let config = try_config(&[], &given).unwrap();
    let settings = config.maxmind.web_service_settings().unwrap();
    assert_eq!(settings.host.as_str(), "https://geolite.info/");
    assert_eq!(settings.daily_lookups, 1_000);
    assert!(!format!("{config:?}").contains("a-secret-key"));
}

#[test]
fn places_are_a_stand_in_only_without_cities() {
    let account = arguments(&["--maxmind-account-id=42", "--maxmind-api-key=key"]);
    let cities = [database("GeoIP2-City-Test.mmdb")];
    let stand_ins = try_config(&[], &[]).unwrap().stand_ins();
    assert!(stand_ins[0].contains("MAXMIND_ACCOUNT_ID"), "{stand_ins:?}");
    assert!(try_config(&[], &account).unwrap().stand_ins().is_empty());
    assert!(try_config(&cities, &[]).unwrap().stand_ins().is_empty());
}
