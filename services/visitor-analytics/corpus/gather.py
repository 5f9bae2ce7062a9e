#!/usr/bin/env python3
"""Assembles this folder's lists from their packages.

    gather.py CRAWLERS_PACKAGE USER_AGENTS_PACKAGE UA_PARSER_CRATE

The unpacked npm packages crawler-user-agents and user-agents, and the unpacked crate ua-parser.
Needs PyYAML. Note the versions in README.md. Which half a line belongs to follows from its text,
so that it stays there.
"""

import hashlib
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
UAP_SHARE = 3  # one in so many of uap-core's phones

# Listed as bots where people use them (see ../data/refresh.py), and the other way round.
PEOPLE = re.compile(r"Instagram |MetaIAB Facebook|Fluid/")
# A phone with a random build of Chrome, or an iPhone with Chrome's name: no browser of a person.
EMULATED = re.compile(
    r"(iPhone; CPU iPhone OS 11_0|Nexus 5 Build/MRA58N|Pixel 2 Build/OPD3|SM-G900P Build/LRX21T)"
    r".* Chrome/\d+\.0\.[1-9]"
)
DEVICES = {"desktop": "desktop", "mobile": "smartphone", "tablet": "tablet"}


def is_second_half(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def share(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[1] % UAP_SHARE == 0


def is_page_view(text: str) -> bool:
    """Whether a browser says so, and no app, updater or sender of messages."""
    browser = re.match(r"(Mozilla|Opera)/", text) or re.search(r"MIDP|UP\.Browser|WAP", text)
    other = re.search(r"WhatsApp|SyncML|Podcasting|Browser-Plugin|@g(oogle)?mail|://|Spider", text)
    return bool(browser and not other)


def write(name: str, lines: set[str]) -> None:
    for part, second in (("seen", False), ("scored", True)):
        chosen = sorted(line for line in lines if is_second_half(line) == second)
        (HERE / f"{name}-{part}.txt").write_text("\n".join(chosen) + "\n")


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def cases(ua_parser: pathlib.Path, name: str, fields: list[str]) -> None:
    """ua-parser's own cases: a line each, what is missing is empty."""
    text = (ua_parser / "uap-core" / "tests" / f"test_{name}.yaml").read_text()
    lines = set()
    for case in yaml.load(text, yaml.CSafeLoader)["test_cases"]:
        values = [case["user_agent_string"], *(case.get(field) or "" for field in fields)]
        if not any("\n" in value or "\t" in value for value in values):
            lines.add("\t".join(values))
    (HERE / f"uap-{name}.tsv").write_text("\n".join(sorted(lines)) + "\n")


def main(crawlers: pathlib.Path, agents: pathlib.Path, ua_parser: pathlib.Path) -> None:
    listed = json.loads((crawlers / "crawler-user-agents.json").read_text())
    bots = {one_line(text) for entry in listed for text in entry.get("instances", [])}
    phones = (ua_parser / "uap-core" / "tests" / "test_device.yaml").read_text()
    phones = yaml.load(phones, yaml.CSafeLoader)["test_cases"]
    people = set()
    for case in phones:
        text = one_line(case["user_agent_string"])
        if "Spider" in (case["family"], case["brand"]):
            bots.add(text)
        elif is_page_view(text) and share(text):
            people.add(f"\t{text}")
    for entry in json.loads((agents / "dist" / "user-agents.json").read_text()):
        text = one_line(entry["userAgent"])
        if not EMULATED.search(text):
            people.add(f"{DEVICES[entry['deviceCategory']]}\t{text}")
    people |= {f"\t{text}" for text in bots if PEOPLE.search(text)}
    versions = ["family", "major", "minor", "patch", "patch_minor"]
    cases(ua_parser, "ua", versions)
    cases(ua_parser, "os", versions)
    cases(ua_parser, "device", ["family", "brand", "model"])
    write("bots", {text for text in bots if not PEOPLE.search(text)})
    write("people", people)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
