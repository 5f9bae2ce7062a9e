"""Patterns in settings: paths and view names with ``*``, and ranges of status codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Patterns:
    """A set of patterns. ``*`` matches any text, including the empty one."""

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
        """Compile path patterns, percent-encoded or not, for decoded paths.

        Without a ``*`` at the end, a trailing slash is optional.
        """
        listed = [unquote(text) for text in patterns]
        bare = [text.rstrip("/") for text in listed if not text.endswith("*")]
        return cls.parse((*listed, *bare, *(f"{text}/" for text in bare)))

    def __bool__(self) -> bool:
        """Whether there are any patterns."""
        return bool(self.exact) or self.expression is not None

    def match(self, text: str) -> bool:
        """Whether a pattern matches the whole text."""
        return text in self.exact or (
            self.expression is not None and self.expression.fullmatch(text) is not None
        )


def parse_statuses(entries: Iterable[object]) -> frozenset[int]:
    """Parse ``404``, ``"404"`` and ``"4xx"``. ``ValueError`` names the first invalid entry."""
    found: set[int] = set()
    for entry in entries:
        match = _STATUS.fullmatch(str(entry).strip())
        if match is None:
            raise ValueError(f"{entry!r} is neither a status code nor a range such as '4xx'")
        hundred, one = match.groups()
        found.update(range(int(hundred) * 100, int(hundred) * 100 + 100) if hundred else [int(one)])
    return frozenset(found)
