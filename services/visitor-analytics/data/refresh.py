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


def main(crawlers: pathlib.Path, ua_parser: pathlib.Path) -> None:
    listed = json.loads((crawlers / "crawler-user-agents.json").read_text())
    lines = [
        json.dumps({"pattern": entry["pattern"], "tags": entry.get("tags", [])})
        for entry in listed
    ]
    (HERE / "crawlers.jsonl").write_text("\n".join(lines) + "\n")
    regexes = yaml.safe_load((ua_parser / "uap-core" / "regexes.yaml").read_text())
    text = json.dumps(regexes, ensure_ascii=False, separators=(",", ":"))
    (HERE / "uap-core.json").write_text(text + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
