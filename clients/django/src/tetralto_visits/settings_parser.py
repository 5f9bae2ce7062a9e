"""Finds and parses the values of settings, and collects all problems.

The order of precedence is: the dictionary ``TETRALTO``, Django's settings, the environment.
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
    """An error or warning about a setting."""

    code: str
    message: str
    hint: str
    is_error: bool = True


class SettingsParser:
    """Parses the settings of a project. ``names`` maps keys of ``TETRALTO`` to full names."""

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
            self.add_problem(
                "E006",
                f"TETRALTO has unknown keys: {', '.join(unknown)}."
                if unknown
                else "TETRALTO is not a dictionary.",
                f"TETRALTO must be a dictionary. The keys are: {', '.join(names)}.",
            )

    def add_problem(self, code: str, message: str, hint: str, *, is_error: bool = True) -> None:
        """Add a problem."""
        self.problems.append(Problem(code, message, hint, is_error))

    def find(self, key: str) -> Any:  # noqa: ANN401
        """Look up a value; ``None`` if it is not set."""
        name = self._names[key]
        for value in (self._own.get(key), getattr(self._settings, name, None)):
            if value is not None:
                return value
        return self._environ.get(name) or None

    def text(self, key: str) -> str:
        """Read a text; empty if it is not set."""
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
            self.add_problem(
                "E005",
                f"{self._names[key]} must be a number of at least {smallest:g}.",
                f"Remove it to use the default, {default:g}.",
            )
            return default
        return number

    def switch(self, key: str) -> bool:
        """Read a boolean; false if it is not set."""
        text = str(self.find(key) or "no").strip().lower()
        if text not in _YES + _NO:
            self.add_problem("E005", f"{self._names[key]} is not a boolean.", "Use True or False.")
        return text in _YES

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Read a list of texts. A single text is split at commas."""
        value = self.find(key)
        listed = value.split(",") if isinstance(value, str) else default if value is None else value
        if not isinstance(listed, list | tuple | set | frozenset):
            self.add_problem(
                "E005", f"{self._names[key]} is not a list.", 'Use ["first", "second"].'
            )
            return default
        return tuple(text for entry in listed if (text := str(entry).strip()))

    def function(self, key: str) -> Callable[..., Any] | None:
        """Read a function or its dotted path."""
        value = self.find(key)
        if value is None:
            return None
        try:
            found = import_string(value) if isinstance(value, str) else value
        except ImportError as error:
            found, reason = None, str(error)
        else:
            reason = "it is not callable"
        if not callable(found):
            self.add_problem(
                "E007",
                f"{self._names[key]} is not a function: {reason}.",
                'Use a function or its dotted path, such as "mysite.visits.should_record".',
            )
            return None
        return found  # type: ignore[no-any-return]

    def url(self, key: str) -> str:
        """Read the URL of the service, without a trailing slash."""
        url = self.text(key).rstrip("/")
        if not url:
            self.add_problem(
                "W001",
                f"{self._names[key]} is not set: no visits are recorded.",
                "Set it to the URL of visitor-analytics, such as http://127.0.0.1:8002, as a "
                "Django setting or an environment variable.",
                is_error=False,
            )
        elif not _is_http_url(url):
            self.add_problem(
                "E003",
                f"{self._names[key]} is not a valid HTTP URL.",
                "Use a URL such as http://visitor-analytics.railway.internal:8000, with http or "
                "https and a host, and without user name, query and fragment.",
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
