"""The settings: the only place that reads Django's settings and the environment.

A value is looked for in ``TETRALTO`` first, then among Django's settings, then in the
environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tetralto_visits.address import TrustedProxies

# Key of TETRALTO -> name as a Django setting and as an environment variable.
_NAMES = {
    "SERVICE_URL": "VISITOR_ANALYTICS_SERVICE_URL",
    "TOKEN": "VISITOR_ANALYTICS_TOKEN",
    "TRUSTED_PROXIES": "TETRALTO_TRUSTED_PROXIES",
    "EXCLUDE_PATHS": "TETRALTO_EXCLUDE_PATHS",
    "QUEUE_SIZE": "TETRALTO_QUEUE_SIZE",
    "TIMEOUT_SECONDS": "TETRALTO_TIMEOUT_SECONDS",
}

HEALTH_CHECKS = (
    "/health",
    "/health/live",
    "/health/ready",
    "/health-check",
    "/healthcheck",
    "/healthz",
    "/ht",
    "/livez",
    "/ping",
    "/readyz",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings."""

    code: str
    message: str
    hint: str
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """Where visits are sent and how much memory may wait for it."""

    service_url: str
    token: str = field(repr=False)
    queue_size: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class PathRules:
    """Paths that are never recorded: exact ones (a trailing slash does not matter) and prefixes."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def parse(cls, patterns: Iterable[str]) -> PathRules:
        """Read paths; one that ends in ``*`` is a prefix."""
        listed = list(patterns)
        return cls(
            frozenset(pattern.rstrip("/") for pattern in listed if not pattern.endswith("*")),
            tuple(pattern[:-1] for pattern in listed if pattern.endswith("*")),
        )

    def match(self, path: str) -> bool:
        """Whether the path is one of them."""
        return path.rstrip("/") in self.exact or path.startswith(self.prefixes)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, parsed."""

    target: Target
    proxies: TrustedProxies
    excluded: PathRules


def read(settings: object, environ: Mapping[str, str]) -> tuple[Config | None, list[Problem]]:
    """Read the settings: either a config, or the problems that keep it from being one."""
    values = _Values(settings, environ)
    config = Config(
        Target(
            service_url=values.service_url(),
            token=values.token(),
            queue_size=int(values.number("QUEUE_SIZE", 10_000, smallest=1)),
            timeout_seconds=values.number("TIMEOUT_SECONDS", 5, smallest=0.1),
        ),
        values.proxies(),
        PathRules.parse((*HEALTH_CHECKS, *values.texts("EXCLUDE_PATHS"))),
    )
    return (None if values.problems else config), values.problems


class _Values:
    """Looks settings up and parses them, noting every problem on the way."""

    def __init__(self, settings: object, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._settings = settings
        self._environ = environ
        own = getattr(settings, "TETRALTO", None) or {}
        self._own: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
        if self._own is not own or not self._own.keys() <= _NAMES.keys():
            unknown = sorted(map(str, self._own.keys() - _NAMES.keys()))
            self._note(
                "E006",
                f"TETRALTO has unknown keys: {', '.join(unknown)}."
                if unknown
                else "TETRALTO is not a dictionary.",
                f"It is a dictionary with these keys: {', '.join(_NAMES)}.",
            )

    def service_url(self) -> str:
        url = str(self._find("SERVICE_URL") or "").strip().rstrip("/")
        if not url:
            self._note(
                "W001",
                "VISITOR_ANALYTICS_SERVICE_URL is not set: no visits are recorded.",
                "Set it to the address of visitor-analytics, such as http://127.0.0.1:8002, as a "
                "Django setting or an environment variable.",
                is_error=False,
            )
        elif not _is_http_url(url):
            self._note(
                "E003",
                "VISITOR_ANALYTICS_SERVICE_URL is not an address that can be posted to.",
                "It looks like http://visitor-analytics.railway.internal:8000: http or https, a "
                "host, no user name, no query.",
            )
        return url

    def token(self) -> str:
        token = str(self._find("TOKEN") or "").strip()
        if self._find("SERVICE_URL") and not token:
            self._note(
                "E002",
                "VISITOR_ANALYTICS_TOKEN is not set: the service would refuse every visit.",
                "Make one with: tetralto token --sub django --scope visits:write --days 365",
            )
        elif not (token.isascii() and " " not in token and (token.isprintable())):
            self._note(
                "E002",
                "VISITOR_ANALYTICS_TOKEN holds characters that no token has.",
                "Copy it again, without spaces and line breaks.",
            )
        return token

    def proxies(self) -> TrustedProxies:
        try:
            return TrustedProxies.parse(self.texts("TRUSTED_PROXIES"))
        except ValueError as error:
            self._note(
                "E004",
                f"TETRALTO_TRUSTED_PROXIES: {error}.",
                'List the networks of your own proxies, such as ["10.0.0.0/8"], or "railway", or '
                '"unix" for a proxy on a Unix socket.',
            )
            return TrustedProxies()

    def number(self, key: str, default: float, *, smallest: float) -> float:
        value = self._find(key)
        try:
            number = float(default if value is None else value)
        except (TypeError, ValueError):
            number = 0.0
        if not smallest <= number < 1_000_000_000:
            self._note(
                "E005",
                f"{_NAMES[key]} is not a number of at least {smallest:g}.",
                f"Leave it out to have {default:g}.",
            )
            return default
        return number

    def texts(self, key: str) -> list[str]:
        """Read a list of texts; one text is split at commas."""
        value = self._find(key) or ()
        listed = value.split(",") if isinstance(value, str) else value
        if not isinstance(listed, list | tuple | set | frozenset):
            self._note("E005", f"{_NAMES[key]} is not a list.", 'Write ["first", "second"].')
            return []
        return [text for entry in listed if (text := str(entry).strip())]

    def _find(self, key: str) -> Any:  # noqa: ANN401
        name = _NAMES[key]
        for value in (self._own.get(key), getattr(self._settings, name, None)):
            if value is not None:
                return value
        return self._environ.get(name) or None

    def _note(self, code: str, message: str, hint: str, *, is_error: bool = True) -> None:
        self.problems.append(Problem(code, message, hint, is_error))


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
