//! Each record of MaxMind's test databases is answered as the JSON that they were made from says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::support::{Geo, answer, start};

/// The networks and records of one of the JSON files; of equal networks the last counts.
fn records(json: &str) -> Vec<(IpNet, Value)> {
    let all: Vec<serde_json::Map<String, Value>> = serde_json::from_str(json).unwrap();
    let mut records: Vec<(IpNet, Value)> = vec![];
    for (network, record) in all.into_iter().flatten() {
        let network = network.parse().unwrap();
        records.retain(|(known, _)| *known != network);
        records.push((network, record));
    }
    records
}

/// The first address of a network. MaxMind writes some IPv4 networks as `::81.2.69.142/127`.
fn first(network: &IpNet) -> IpAddr {
    match network.network() {
        IpAddr::V6(ip) => ip
            .to_ipv4()
            .filter(|_| ip.segments()[..6] == [0; 6])
            .map_or(IpAddr::V6(ip), IpAddr::V4),
        ip @ IpAddr::V4(_) => ip,
    }
}

async fn locate_all(geo: &Geo, ips: &[IpAddr], query: &str) -> Vec<Value> {
    let request = geo
        .post(&format!("/geolocate{query}"))
        .json(&json!({"ips": ips}));
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    let results = body["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), ips.len());
    results
}

fn name<'a>(place: &'a Value, language: &str) -> &'a Value {
    let names = &place["names"];
    match &names[language] {
        Value::Null => &names["en"],
        name => name,
    }
}

/// What an answer says of what the City database knows.
fn place(found: &Value) -> Value {
    let fields = [
        "continent_code",
        "country_code",
        "country",
        "region_code",
        "region",
        "city",
        "postal_code",
        "accuracy_radius_km",
        "time_zone",
    ];
    let mut place: Vec<Value> = fields.iter().map(|field| found[field].clone()).collect();
    place.push(json!([
        found["latitude"].as_f64(),
        found["longitude"].as_f64()
    ]));
    Value::from(place)
}

fn expected(record: &Value, language: &str) -> Value {
    let region = &record["subdivisions"][0];
    let point = &record["location"];
    json!([
        record["continent"]["code"],
        record["country"]["iso_code"],
        name(&record["country"], language),
        region["iso_code"],
        name(region, language),
        name(&record["city"], language),
        record["postal"]["code"],
        point["accuracy_radius"],
        point["time_zone"],
        [point["latitude"].as_f64(), point["longitude"].as_f64()]
    ])
}

#[tokio::test]
async fn every_city_record_in_every_language() {
    let records = records(include_str!("../data/GeoIP2-City-Test.json"));
    assert!(records.len() > 200);
    let ips: Vec<_> = records.iter().map(|(network, _)| first(network)).collect();
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    for language in ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"] {
        let results = locate_all(&geo, &ips, &format!("?lang={language}")).await;
        for ((network, record), result) in records.iter().zip(results) {
            let found = &result["location"];
            if record["country"].is_null() {
                // The embedded database knows the country of some.
                assert_eq!(found["city"], Value::Null, "{network}");
                continue;
            }
            assert_eq!(
                place(found),
                expected(record, language),
                "{network} {language}"
            );
            let member = record["country"]["is_in_european_union"] == true;
            assert_eq!(found["is_in_european_union"], member, "{network}");
        }
    }
}

#[tokio::test]
async fn every_asn_record() {
    let records = records(include_str!("../data/GeoLite2-ASN-Test.json"));
    assert!(records.len() > 100);
    let ips: Vec<_> = records.iter().map(|(network, _)| first(network)).collect();
    let geo = start(&["GeoLite2-ASN-Test.mmdb"]).await;
    let results = locate_all(&geo, &ips, "").await;
    for ((network, record), result) in records.iter().zip(results) {
        let found = &result["location"];
        let number = &record["autonomous_system_number"];
        let organization = &record["autonomous_system_organization"];
        assert_eq!(&found["asn"], number, "{network}");
        assert_eq!(&found["as_organization"], organization, "{network}");
    }
}

fn six_to_four(ip: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = ip.octets();
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0x2002, pair(a, b), pair(c, d), 0, 0, 0, 0, 1)
}

/// MaxMind's trees hold the IPv4 networks a second time where 6to4 (RFC 3056) and Teredo
/// (RFC 4380) have them.
#[tokio::test]
async fn ipv4_inside_ipv6_is_found_as_by_maxminds_readers() {
    let london: Ipv4Addr = "81.2.69.142".parse().unwrap();
    let [_, high, low, ..] = six_to_four(london).segments();
    let ips = [
        IpAddr::V6(london.to_ipv6_mapped()),
        IpAddr::V6(six_to_four(london)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 1)),
    ];
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    let results = locate_all(&geo, &ips, "").await;
    let networks: Vec<_> = results
        .iter()
        .map(|result| {
            let found = &result["location"];
            assert_eq!(found["city"], "London", "{result}");
            json!([found["ip"], found["network"]])
        })
        .collect();
    assert_eq!(
        Value::from(networks),
        json!([
            ["81.2.69.142", "81.2.69.142/31"],
            ["2002:5102:458e::1", "2002:5102:458e::/47"],
            ["2001:0:5102:458e::1", "2001:0:5102:458e::/63"],
        ])
    );
}
