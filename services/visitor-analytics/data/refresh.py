#!/usr/bin/env python3
"""Renews the vendored lists in this folder from their packages.

    refresh.py CRAWLERS_PACKAGE UA_PARSER_CRATE ATTRIBUTION_FOLDER

CRAWLERS_PACKAGE is the unpacked npm package crawler-user-agents, UA_PARSER_CRATE the unpacked
crate ua-parser (its uap-core is newer than npm's); each is brought by its ordinary client: `npm pack`,
and `cargo vendor` in an empty project that depends on the crate.
ATTRIBUTION_FOLDER holds Matomo's lists as matomo-search.jsonl, matomo-social.jsonl and
matomo-ai-assistant.jsonl (`{"kind","name","domains"}` a line), and GA4's source categories as
ga4-source-categories.csv (`source,source_category`). Needs PyYAML.
Note the versions in README.md.
"""

import csv
import itertools
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
CRATES = HERE.parents[2] / "crates"

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


# Bounds of hundreds of letters, which keep other engines from going back and forth, would only make
# the expressions larger here.
BOUND = re.compile(r"\{([01]),\d{3,}\}")

# Pages of a portal that Matomo knows as a search engine by their parameters alone, and webmail.
NO_SOURCES = re.compile(r"^(www\.)?cnn\.com$|msnbc|^(e?mail|webmail)\.|^login\.live")
# Later ones win: GA4 says what a channel is, Matomo what a source is called and who is an assistant.
MATOMO = ["search", "social", "ai-assistant"]


def sources(folder: pathlib.Path) -> list[str]:
    """Lines `host, name or word<tab>kind<tab>name<tab>display name`; `{}` stands for a country."""
    found: dict[str, tuple[str, str]] = {}
    display_names: dict[str, str] = {}
    for kind in MATOMO:
        for line in (folder / f"matomo-{kind}.jsonl").read_text().splitlines():
            entry = json.loads(line)
            display_name = entry["name"].replace("%2B", "+").rstrip("!")
            name = display_name.lower()
            display_names.setdefault(name, display_name)
            # What several names share is called by the first: Google, not Google Images.
            for domain in entry["domains"]:
                key = domain.lower().removeprefix("www.")
                found.setdefault(key, (kind, name))
                if kind == "ai-assistant":
                    found[key] = (kind, name)
            if name not in found or kind == "ai-assistant":
                found[name] = (kind, name)
    with (folder / "ga4-source-categories.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            key = row["source"].lower().removeprefix("www.")
            kind = row["source_category"].removeprefix("SOURCE_CATEGORY_").lower()
            known = found.get(key)
            if known and known[0] == "ai-assistant":
                continue
            found[key] = (kind, known[1] if known else key)
    # GA4 knows what a channel is, also of the domains that only Matomo lists; and a host is called
    # as the domain above it.
    for key, (kind, name) in found.items():
        if "." in key and kind == "social" and found.get(name, ("", ""))[0] == "video":
            found[key] = ("video", name)
        parents = [key.split(".", cut)[-1] for cut in range(1, key.count("."))] if name == key else []
        for parent in parents:
            if found.get(parent, ("", ""))[0] == kind:
                found[key] = (kind, found[parent][1])
    # `google images` is google, `ebay.de` is ebay: where the shorter one is of the same kind.
    for key, (kind, name) in found.items():
        short = re.split(r"[ !.]", name)[0]
        if found.get(short, ("", ""))[0] == kind:
            found[key] = (kind, short)
    chosen = {key: value for key, value in found.items() if not NO_SOURCES.search(key)}
    return [
        f"{key}\t{kind}\t{name}\t{display_names.get(name, name)}"
        for key, (kind, name) in sorted(chosen.items())
    ]


def main(crawlers: pathlib.Path, ua_parser: pathlib.Path, attribution: pathlib.Path) -> None:
    listed = json.loads((crawlers / "crawler-user-agents.json").read_text())
    patterns = (
        (NARROWED.get(entry["pattern"], entry["pattern"]), entry.get("tags", []))
        for entry in listed
    )
    lines = [
        json.dumps({"pattern": pattern, "tags": tags}) for pattern, tags in patterns if pattern
    ]
    (CRATES / "bot-detection/data/crawlers.jsonl").write_text("\n".join(lines) + "\n")
    regexes = yaml.safe_load((ua_parser / "uap-core" / "regexes.yaml").read_text())
    for entry in itertools.chain(*regexes.values()):
        entry["regex"] = BOUND.sub(lambda bound: "*+"[int(bound[1])], entry["regex"])
    text = json.dumps(regexes, ensure_ascii=False, separators=(",", ":"))
    (CRATES / "user-agent/data/uap-core.json").write_text(text + "\n")
    (HERE / "sources.tsv").write_text("\n".join(sources(attribution)) + "\n")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
