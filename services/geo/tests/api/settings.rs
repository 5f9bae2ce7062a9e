//! Settings that cannot work stop the start, and are named.

use common::clock::Clock;

use crate::support::try_config;

/// What is said when it does not start so.
fn refusal(settings: &[&str]) -> String {
    let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
    let config = match try_config(&[], &settings) {
        Ok(config) => config,
        Err(error) => return error,
    };
    match geo::build(&config, Clock::system()) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn those_that_cannot_work_are_refused_by_name() {
    let cases: &[(&[&str], &str)] = &[
        (&["--port=x"], "--port"),
        (&["--database-connections=0"], "--database-connections"),
        (&["--jwt-private-key=x"], "JWT_PRIVATE_KEY"),
        (&["--jwks-url=keys:80"], "http://keys:80"),
        (&["--business-location=91,0"], "--business-location"),
        (&["--business-location=London"], "--business-location"),
        (&["--geoip-databases=/no/such/file.mmdb"], "/no/such/file"),
        (&["--geoip-update=maybe"], "--geoip-update"),
        (&["--geoip-editions=../etc"], "--geoip-editions"),
        (&["--geoip-keep-in-postgres=1"], "--geoip-keep-in-postgres"),
        (
            &["--maxmind-update-host=http://a.example"],
            "--maxmind-update-host",
        ),
        (&["--dbip-host=https://a.example/b"], "--dbip-host"),
        (&["--maxmind-account-id=1"], "--maxmind-api-key"),
        (&["--maxmind-api-key=k"], "--maxmind-account-id"),
        (&["--maxmind-host=ftp://a.example"], "--maxmind-host"),
        (&["--maxmind-daily-lookups=-1"], "--maxmind-daily-lookups"),
    ];
    for (settings, named) in cases {
        let said = refusal(settings);
        assert!(said.contains(named), "{settings:?}: {said:?}");
    }
    let said = refusal(&["--maxmind-host=https://me:hunter2@a.example"]);
    assert!(
        said.contains("--maxmind-host") && !said.contains("hunter2"),
        "{said}"
    );
}
