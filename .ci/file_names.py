#!/usr/bin/env python3
"""Fail if the documentation or a comment names a file or folder that does not exist.

A name is text in backticks that ends with the extension of a source file, such as `src/lib.rs`, or
that contains the folder `src`. It may omit leading folders. `<name>` stands for any name. Changelogs
are not checked, because they describe earlier versions.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

NAME = re.compile(
    r"`(?:\./|/)?([\w./<>-]+\.(?:rs|py|sql|js|toml|jsonl|md)|(?:[\w<>-]+/)*src(?:/[\w<>-]+)+)`"
)
PLACEHOLDER = re.compile(r"<\w+>")


def main() -> int:
    """Check all files of the repository. Return the exit code."""
    repository = Path(__file__).resolve().parent.parent
    listing = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=repository, text=True
    )
    files = [file for file in listing.splitlines() if (repository / file).is_file()]
    paths = "\n".join(f"/{file}" for file in files)
    exit_code = 0
    for file in files:
        if not file.endswith((".md", ".rs", ".py")) or file.endswith("CHANGELOG.md"):
            continue
        for number, line in enumerate((repository / file).read_text().splitlines(), start=1):
            for name in NAME.findall(line):
                pattern = r"[^/\n]+".join(map(re.escape, PLACEHOLDER.split(name)))
                if not re.search(rf"/{pattern}(?:/.*)?$", paths, re.MULTILINE):
                    exit_code = 1
                    print(f"{file}:{number}: {name} does not exist")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
