"""Finds the values of settings and parses the simple ones, noting every problem on the way.

A value is looked for in the dictionary ``TETRALTO`` first, then among Django's settings, then in
the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings."""

    code: str
    message: str
    hint: str
    is_error: bool = True


class Values:
    """The values of one project's settings. ``names`` maps keys of ``TETRALTO`` to full names."""

    def __init__(
        self, names: Mapping[str, str], settings: object, environ: Mapping[str, str]
    ) -> None:
        self.problems: list[Problem] = []
        self._names = names
        self._settings = settings
        self._environ = environ
        own = getattr(settings, "TETRALTO", None) or {}
        self._own: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
        if self._own is not own or not self._own.keys() <= names.keys():
            unknown = sorted(map(str, self._own.keys() - names.keys()))
            self.note(
                "E006",
                f"TETRALTO has unknown keys: {', '.join(unknown)}."
                if unknown
                else "TETRALTO is not a dictionary.",
                f"It is a dictionary with these keys: {', '.join(names)}.",
            )

    def note(self, code: str, message: str, hint: str, *, is_error: bool = True) -> None:
        """Add a problem."""
        self.problems.append(Problem(code, message, hint, is_error))

    def find(self, key: str) -> Any:  # noqa: ANN401
        """Look a value up; ``None`` when it is set nowhere."""
        name = self._names[key]
        for value in (self._own.get(key), getattr(self._settings, name, None)):
            if value is not None:
                return value
        return self._environ.get(name) or None

    def text(self, key: str) -> str:
        """Read a text; empty when it is set nowhere."""
        value = self.find(key)
        return "" if value is None else str(value).strip()

    def number(self, key: str, default: float, *, smallest: float) -> float:
        """Read a number of at least ``smallest``."""
        value = self.find(key)
        try:
            number = float(default if value is None else value)
        except (TypeError, ValueError):
            number = 0.0
        if not smallest <= number < 1_000_000_000:
            self.note(
                "E005",
                f"{self._names[key]} is not a number of at least {smallest:g}.",
                f"Leave it out to have {default:g}.",
            )
            return default
        return number

    def switch(self, key: str) -> bool:
        """Read yes or no; no when it is set nowhere."""
        text = str(self.find(key) or "no").strip().lower()
        if text not in _YES + _NO:
            self.note("E005", f"{self._names[key]} is neither on nor off.", "Set True or False.")
        return text in _YES

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Read a list of texts; one text is split at commas."""
        value = self.find(key)
        listed = value.split(",") if isinstance(value, str) else default if value is None else value
        if not isinstance(listed, list | tuple | set | frozenset):
            self.note("E005", f"{self._names[key]} is not a list.", 'Write ["first", "second"].')
            return default
        return tuple(text for entry in listed if (text := str(entry).strip()))

    def function(self, key: str) -> Callable[..., Any] | None:
        """Read a function, or the dotted path of one."""
        value = self.find(key)
        if value is None:
            return None
        try:
            found = import_string(value) if isinstance(value, str) else value
        except ImportError as error:
            found, reason = None, str(error)
        else:
            reason = "it cannot be called"
        if not callable(found):
            self.note(
                "E007",
                f"{self._names[key]} is no function: {reason}.",
                'Give a function or its dotted path, such as "mysite.visits.wanted".',
            )
            return None
        return found  # type: ignore[no-any-return]

    def url(self, key: str) -> str:
        """Read an address that can be posted to, without a slash at its end."""
        url = self.text(key).rstrip("/")
        if not url:
            self.note(
                "W001",
                f"{self._names[key]} is not set: no visits are recorded.",
                "Set it to the address of visitor-analytics, such as http://127.0.0.1:8002, as a "
                "Django setting or an environment variable.",
                is_error=False,
            )
        elif not _is_http_url(url):
            self.note(
                "E003",
                f"{self._names[key]} is not an address that can be posted to.",
                "It looks like http://visitor-analytics.railway.internal:8000: http or https, a "
                "host, no user name, no query.",
            )
        return url


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and not (parts.username or parts.query or parts.fragment)
    )
