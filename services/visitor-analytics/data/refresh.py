#!/usr/bin/env python3
"""Renews the vendored lists in this folder from their packages.

    refresh.py CRAWLERS_PACKAGE UA_PARSER_CRATE

CRAWLERS_PACKAGE is the unpacked npm package crawler-user-agents, UA_PARSER_CRATE the unpacked
crate ua-parser; each is brought by its ordinary client (`npm pack`, `cargo vendor`). Needs PyYAML.
Note the versions in README.md.
"""

import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).parent

# Patterns that also meet phones, apps and browsers of people (HTC Butterfly, ViewSonic, the apps
# of Viber and Goodreads …), each with one that does not. `None`: it is a browser of people.
NARROWED = {
    "Butterfly": r"Butterfly\/",
    "Sonic": r"RankSonic|[^a-z]Sonic\/",
    "speedy": "Speedy Spider",
    r"008\/": r"^008\/",
    "Viber": "^Viber",
    "Goodreads": "compatible; Goodreads",
    "Podimo": r"^Podimo\/",
    "Feedly": r"^Feedly(\/1|Bot)",
    "Disqus": "^Disqus",
    "Netvibes": "^Netvibes",
    "Magellan": "^Magellan",
    "Yeti": r"Yeti\/",
    "Trove": "^Trove",
    "Fever": r"^Fever\/",
    "Synapse": "^Synapse",
    "Sogou": "Sogou(-Test)?[ -].*[sS]pider",
    # In-app browsers: a build of Android, and the one that Facebook's app calls itself.
    r"AP3A\.240617\.008": None,
    "MetaIAB Facebook": None,
    "Fluid": None,
}


def main(crawlers: pathlib.Path, ua_parser: pathlib.Path) -> None:
    listed = json.loads((crawlers / "crawler-user-agents.json").read_text())
    patterns = (
        (NARROWED.get(entry["pattern"], entry["pattern"]), entry.get("tags", []))
        for entry in listed
    )
    lines = [
        json.dumps({"pattern": pattern, "tags": tags}) for pattern, tags in patterns if pattern
    ]
    (HERE / "crawlers.jsonl").write_text("\n".join(lines) + "\n")
    regexes = yaml.safe_load((ua_parser / "uap-core" / "regexes.yaml").read_text())
    text = json.dumps(regexes, ensure_ascii=False, separators=(",", ":"))
    (HERE / "uap-core.json").write_text(text + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
