"""Trusted proxies and the address of the visitor."""

import pytest

from analytics import Analytics
from conftest import StartSite
from tetralto_visits.address import TrustedProxies, visitor_address

CLIENT, SPOOFED, PROXY = "203.0.113.7", "198.51.100.66", "10.0.0.5"


def choose(peer: str, forwarded_for: str = "", real_ip: str = "", *trusted: str) -> str | None:
    address = visitor_address(peer, real_ip, forwarded_for, TrustedProxies.parse(trusted))
    return str(address) if address else None


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "real_ip", "trusted", "expected"),
    [
        pytest.param(CLIENT, "", "", [], CLIENT, id="direct"),
        pytest.param(CLIENT, SPOOFED, SPOOFED, [], CLIENT, id="nobody is trusted"),
        pytest.param(CLIENT, SPOOFED, SPOOFED, ["10.0.0.0/8"], CLIENT, id="untrusted peer"),
        pytest.param(PROXY, CLIENT, "", ["10.0.0.0/8"], CLIENT, id="one proxy"),
        pytest.param(PROXY, f"{SPOOFED}, {CLIENT}", "", ["10.0.0.0/8"], CLIENT, id="spoofed"),
        pytest.param(
            PROXY, f"{SPOOFED}, {CLIENT}, 10.0.0.9", "", ["10.0.0.0/8"], CLIENT, id="two proxies"
        ),
        pytest.param(PROXY, "10.1.1.1, 10.2.2.2", "", ["10.0.0.0/8"], "10.1.1.1", id="inside"),
        pytest.param(PROXY, "", CLIENT, ["10.0.0.0/8"], CLIENT, id="X-Real-IP alone"),
        pytest.param(PROXY, CLIENT, SPOOFED, ["10.0.0.0/8"], CLIENT, id="X-Real-IP passed on"),
        pytest.param(PROXY, f"{SPOOFED}, rubbish", "", ["10.0.0.0/8"], PROXY, id="rubbish hop"),
        pytest.param(
            PROXY,
            f"{CLIENT}, unknown",
            SPOOFED,
            ["10.0.0.0/8"],
            PROXY,
            id="X-Real-IP beside rubbish",
        ),
        pytest.param(PROXY, "", "", ["10.0.0.0/8"], PROXY, id="no headers"),
        pytest.param(PROXY, f"{CLIENT}:4711", "", ["10.0.0.0/8"], CLIENT, id="port"),
        pytest.param(PROXY, "[2001:db8::1]:80", "", ["10.0.0.0/8"], "2001:db8::1", id="IPv6"),
        pytest.param(f"::ffff:{PROXY}", CLIENT, "", ["10.0.0.0/8"], CLIENT, id="mapped peer"),
        pytest.param("fe80::1%eth0", "", "", [], "fe80::1", id="zone"),
        pytest.param("100.64.0.3", SPOOFED, CLIENT, ["railway"], CLIENT, id="Railway X-Real-IP"),
        pytest.param(
            "fd12:72e8::5", f"{SPOOFED}, {CLIENT}", "", ["railway"], CLIENT, id="Railway last hop"
        ),
        pytest.param(SPOOFED, CLIENT, CLIENT, ["railway"], SPOOFED, id="not Railway's edge"),
        pytest.param("", CLIENT, "", ["unix"], CLIENT, id="Unix socket"),
        pytest.param("", CLIENT, "", [], None, id="untrusted Unix socket"),
    ],
)
def test_choice(
    peer: str, forwarded_for: str, real_ip: str, trusted: list[str], expected: str | None
) -> None:
    assert choose(peer, forwarded_for, real_ip, *trusted) == expected


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "10.0.0.1/8", "heroku", "0.0.0.0/0", "::/0"])
def test_a_bad_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=entry):
        TrustedProxies.parse(["10.0.0.0/8", entry])


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
@pytest.mark.parametrize(
    ("trusted", "expected"), [("", "127.0.0.1"), ("10.0.0.0/8,127.0.0.0/8", CLIENT)]
)
def test_a_site_believes_only_its_proxies(
    analytics: Analytics, start_site: StartSite, server: str, trusted: str, expected: str
) -> None:
    site = start_site(analytics.url, server, TETRALTO_TRUSTED_PROXIES=trusted)
    site.get("/", {"X-Forwarded-For": f"{SPOOFED}, {CLIENT}", "X-Real-IP": SPOOFED})
    (visit,) = analytics.wait_for(1)
    assert visit["ip"] == expected
