"""Patterns of the settings: paths and view names with ``*``, and ranges of status codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Patterns:
    """Texts of which some match; ``*`` in a pattern stands for anything, also nothing."""

    exact: frozenset[str] = frozenset()
    expression: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, patterns: Iterable[str]) -> Patterns:
        """Compile the patterns."""
        listed = frozenset(patterns)
        exact = frozenset(pattern for pattern in listed if "*" not in pattern)
        parts = [".*".join(map(re.escape, text.split("*"))) for text in sorted(listed - exact)]
        return cls(exact, re.compile("|".join(parts), re.DOTALL) if parts else None)

    @classmethod
    def parse_paths(cls, patterns: Iterable[str]) -> Patterns:
        """Compile paths: a slash at the end does not matter where there is no ``*``."""
        listed = list(patterns)
        bare = [text.rstrip("/") for text in listed if not text.endswith("*")]
        return cls.parse((*listed, *bare, *(f"{text}/" for text in bare)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.exact) or self.expression is not None

    def match(self, text: str) -> bool:
        """Whether one of the patterns is the whole text."""
        return text in self.exact or (
            self.expression is not None and self.expression.fullmatch(text) is not None
        )


def parse_statuses(entries: Iterable[object]) -> frozenset[int]:
    """Read ``404``, ``"404"`` and ``"4xx"``; ``ValueError`` names the first bad entry."""
    found: set[int] = set()
    for entry in entries:
        match = _STATUS.fullmatch(str(entry).strip())
        if match is None:
            raise ValueError(f"{entry!r} is neither a status code nor like '4xx'")
        hundred, one = match.groups()
        found.update(range(int(hundred) * 100, int(hundred) * 100 + 100) if hundred else [int(one)])
    return frozenset(found)
