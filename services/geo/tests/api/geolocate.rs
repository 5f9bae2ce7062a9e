//! Answers, from each kind of database.

use common::clock::Clock;
use serde_json::{Value, json};

use crate::support::{answer, config, database, start, start_with};

const ALL: [&str; 4] = [
    "GeoIP2-City-Test.mmdb",
    "GeoIP2-Country-Test.mmdb",
    "GeoLite2-ASN-Test.mmdb",
    "GeoIP2-Anonymous-IP-Test.mmdb",
];

async fn locate(databases: &[&str], ip: &str) -> Value {
    let geo = start(databases).await;
    let response = geo
        .get(&format!("/geolocate?ip={ip}"))
        .send()
        .await
        .unwrap();
    let (status, body) = answer(response).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn a_city_database_answers_every_field_it_knows() {
    let london = locate(&["GeoIP2-City-Test.mmdb"], "81.2.69.142").await;
    let build_date = london["sources"][0]["build_date"].clone();
    assert!(build_date.as_str().unwrap().starts_with("20"));
    assert_eq!(
        london,
        json!({
            "ip": "81.2.69.142", "network": "81.2.69.142/31",
            "continent_code": "EU", "country_code": "GB", "country": "United Kingdom",
            "is_in_european_union": false, "region_code": "ENG", "region": "England",
            "city": "London", "postal_code": null, "latitude": 51.5142, "longitude": -0.0931,
            "accuracy_radius_km": 10, "time_zone": "Europe/London",
            "local_time": london["local_time"], "distance_km": null, "asn": null,
            "as_organization": null, "is_anonymous": null, "is_hosting_provider": null,
            "isp": null, "organization": null, "domain": null, "connection_type": null,
            "user_type": null, "is_anonymous_vpn": null, "is_public_proxy": null,
            "is_residential_proxy": null, "is_tor_exit_node": null,
            "anonymizer_confidence": null, "anonymizer_provider": null,
            "anonymizer_last_seen": null,
            "sources": [{"provider": "mmdb", "database": "GeoIP2-City", "build_date": build_date}]
        })
    );
}

#[tokio::test]
async fn an_answer_tells_the_time_there_and_the_way_to_the_business() {
    let now = "2026-07-20T12:00:00Z".parse().unwrap();
    let settings = ["--business-location=48.8566,2.3522".to_owned()];
    let clock = Clock::manual(now);
    let geo = start_with(&["GeoIP2-City-Test.mmdb"], &settings, clock).await;
    let path = "/geolocate?ip=81.2.69.142&fields=distance_km,local_time";
    let (status, found) = answer(geo.get(path).send().await.unwrap()).await;
    let expected = json!({"local_time": "2026-07-20T13:00:00+01:00", "distance_km": 342.9});
    assert_eq!((status, found), (200, expected));
}

#[tokio::test]
async fn several_databases_fill_one_answer() {
    let found = locate(&ALL, "89.160.20.128").await;
    assert_eq!(found["city"], "Linköping");
    assert_eq!(found["asn"], 29518);
    assert_eq!(found["as_organization"], "Bredband2 AB");
    assert_eq!(found["is_anonymous"], false);
    let sources = found["sources"].as_array().unwrap();
    let names: Vec<_> = sources
        .iter()
        .map(|s| s["database"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "GeoIP2-City",
            "GeoIP2-Country",
            "GeoLite2-ASN",
            "GeoIP2-Anonymous-IP"
        ]
    );
    let hidden = locate(&ALL, "1.2.0.1").await;
    assert_eq!(hidden["is_anonymous"], true);
    assert_eq!(hidden["is_hosting_provider"], false);
}

#[tokio::test]
async fn a_fresh_machine_answers_countries_from_the_embedded_database() {
    let found = locate(&[], "193.0.6.139").await;
    assert_eq!(found["country_code"], "NL");
    assert_eq!(found["country"], "Netherlands");
    assert_eq!(found["continent_code"], "EU");
    assert_eq!(found["is_in_european_union"], true);
    assert_eq!(found["sources"][0]["provider"], "embedded");
}

#[tokio::test]
async fn ipv4_in_ipv6_is_the_ipv4_address() {
    let found = locate(&ALL, "::ffff:81.2.69.142").await;
    assert_eq!(found["ip"], "81.2.69.142");
    assert_eq!(found["city"], "London");
}

#[tokio::test]
async fn a_batch_answers_in_order_with_an_error_per_item() {
    let geo = start(&ALL).await;
    let ips = ["10.0.0.1", "81.2.69.142", "nonsense", "2.125.160.216", ""];
    let request = geo.post("/geolocate").json(&json!({"ips": ips}));
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200);
    let results = body["results"].as_array().unwrap();
    let summary: Vec<_> = results
        .iter()
        .map(|r| (&r["ip"], &r["location"]["city"], &r["error"]["code"]))
        .map(|(ip, city, code)| json!([ip, city, code]))
        .collect();
    assert_eq!(
        Value::from(summary),
        json!([
            ["10.0.0.1", null, "IP_ADDRESS_RESERVED"],
            ["81.2.69.142", "London", null],
            ["nonsense", null, "IP_ADDRESS_INVALID"],
            ["2.125.160.216", "Boxford", null],
            ["", null, "IP_ADDRESS_REQUIRED"],
        ])
    );
}

#[tokio::test]
async fn health_names_the_databases_without_a_token() {
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    let response = geo
        .http
        .get(format!("{}/health", geo.base))
        .send()
        .await
        .unwrap();
    let (status, body) = answer(response).await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    let detail = body["checks"]["databases"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("GeoIP2-City (20"), "{detail}");
    // The test databases were built long ago.
    assert!(detail.contains("; GeoIP2-City is "), "{detail}");
}

#[test]
fn a_damaged_missing_or_foreign_database_stops_the_start() {
    let cases = [
        (
            "GeoIP2-City-Test-Broken-Double-Format.mmdb",
            "not a valid .mmdb database",
        ),
        (
            "MaxMind-DB-test-broken-pointers-24.mmdb",
            "not a valid .mmdb database",
        ),
        ("LICENSE-MIT", "not a valid .mmdb database"),
        ("nothing.mmdb", "cannot be read"),
        ("MaxMind-DB-test-mixed-24.mmdb", "contains no locations"),
    ];
    for (name, reason) in cases {
        let error = geo::build(&config(&[database(name)]), common::clock::Clock::system())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(name) && error.contains(reason),
            "{name}: {error}"
        );
    }
}
