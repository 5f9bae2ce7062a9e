"""The settings. Only this module reads Django's settings and the environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tetralto_visits.address import TrustedProxies
from tetralto_visits.patterns import Patterns, parse_statuses
from tetralto_visits.settings_parser import Problem, SettingsParser

__all__ = ["Config", "Problem", "Rules", "Target", "read"]

_KEYS = (
    "TRUSTED_PROXIES",
    "HTTP_VERSION_HEADER",
    "INCLUDE_PATHS",
    "EXCLUDE_PATHS",
    "EXCLUDE_VIEWS",
    "CONTENT_TYPES",
    "STATUS_CODES",
    "RECORD_PREFETCHES",
    "RECORD_IF",
    "RECORD_USER_ID",
    "RESPECT_DNT",
    "CONSENT",
    "QUEUE_SIZE",
    "TIMEOUT_SECONDS",
    "SPOOL",
    "SPOOL_MEGABYTES",
    "ENGAGEMENT_PER_MINUTE",
)
# Key in TETRALTO -> name of the Django setting and environment variable.
_NAMES = {
    "SERVICE_URL": "VISITOR_ANALYTICS_SERVICE_URL",
    "TOKEN": "VISITOR_ANALYTICS_TOKEN",
    **{key: f"TETRALTO_{key}" for key in _KEYS},
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
# Browsers request these by themselves. If the file is missing, the response is an HTML error page.
ICONS = ("/favicon.ico", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png")
# For a redirect, only the target page counts. A 304 is a page view of an unchanged page.
_STATUS_CODES = ("2xx", "304", "4xx", "5xx")


@dataclass(frozen=True, slots=True)
class Target:
    """The service to which visits are sent, and the limits of the queue and the spool."""

    service_url: str
    token: str = field(repr=False)
    queue_size: int = 10_000
    timeout_seconds: float = 5.0
    spool_folders: tuple[Path, ...] = field(default=(), hash=False)  # hashing is slow
    """Folders for visits while the service is unavailable. The first usable one is used."""
    spool_bytes: int = 45_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Which responses are page views, and which visitors may be tracked."""

    included: Patterns | None
    """``None`` for all paths."""
    excluded: Patterns
    excluded_views: Patterns | None
    """``None`` for no view."""
    content_types: tuple[str, ...]
    statuses: frozenset[int]
    prefetches: bool
    decide: Callable[..., bool | None] | None
    respect_dnt: bool
    consent: Callable[..., bool] | None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, parsed."""

    target: Target
    proxies: TrustedProxies
    rules: Rules
    user_id: bool
    """Whether the id of the logged-in user is sent."""
    http_version_key: str | None
    """The key in ``META`` in which a trusted proxy passes the HTTP version of the visitor."""
    engagement_per_minute: int


def read(settings: object, environ: Mapping[str, str]) -> tuple[Config | None, list[Problem]]:
    """Read the settings. Returns the config, or ``None`` if there are errors, and all problems."""
    parser = SettingsParser(_NAMES, settings, environ)
    url = parser.url("SERVICE_URL")
    version_header = parser.text("HTTP_VERSION_HEADER").upper().replace("-", "_")
    config = Config(
        Target(
            service_url=url,
            token=_token(parser),
            queue_size=int(parser.number("QUEUE_SIZE", 10_000, smallest=1)),
            timeout_seconds=parser.number("TIMEOUT_SECONDS", 5, smallest=0.1),
            spool_folders=_spool_folders(parser.text("SPOOL"), url, settings, environ),
            spool_bytes=int(parser.number("SPOOL_MEGABYTES", 45, smallest=1) * 1_000_000),
        ),
        _proxies(parser),
        _rules(parser),
        user_id=parser.switch("RECORD_USER_ID"),
        http_version_key=f"HTTP_{version_header}" if version_header else None,
        engagement_per_minute=int(parser.number("ENGAGEMENT_PER_MINUTE", 60, smallest=1)),
    )
    return (None if parser.problems else config), parser.problems


def _rules(parser: SettingsParser) -> Rules:
    try:
        statuses = parse_statuses(parser.texts("STATUS_CODES", _STATUS_CODES))
    except ValueError as error:
        statuses = frozenset()
        parser.add_problem("E008", f"TETRALTO_STATUS_CODES: {error}.", 'Use ["2xx", 304, 404].')
    return Rules(
        included=Patterns.parse_paths(parser.texts("INCLUDE_PATHS")) or None,
        excluded=Patterns.parse_paths((*HEALTH_CHECKS, *ICONS, *parser.texts("EXCLUDE_PATHS"))),
        excluded_views=Patterns.parse(parser.texts("EXCLUDE_VIEWS")) or None,
        content_types=parser.texts("CONTENT_TYPES", ("text/html",)),
        statuses=statuses,
        prefetches=parser.switch("RECORD_PREFETCHES"),
        decide=parser.function("RECORD_IF"),
        respect_dnt=parser.switch("RESPECT_DNT"),
        consent=parser.function("CONSENT"),
    )


def _token(parser: SettingsParser) -> str:
    token = parser.text("TOKEN")
    if parser.find("SERVICE_URL") and not token:
        parser.add_problem(
            "E002",
            "VISITOR_ANALYTICS_TOKEN is not set, but the service requires a token.",
            "Create one with: tetralto token --sub django --scope visits:write --days 365",
        )
    elif not (token.isascii() and " " not in token and token.isprintable()):
        parser.add_problem(
            "E002",
            "VISITOR_ANALYTICS_TOKEN contains characters that are invalid in a token.",
            "Copy the token again, without spaces and line breaks.",
        )
    return token


def _proxies(parser: SettingsParser) -> TrustedProxies:
    try:
        return TrustedProxies.parse(parser.texts("TRUSTED_PROXIES"))
    except ValueError as error:
        parser.add_problem(
            "E004",
            f"TETRALTO_TRUSTED_PROXIES: {error}.",
            'Use a list of the networks of your proxies, such as ["10.0.0.0/8"], "railway", or '
            '"unix" for a proxy on a Unix socket.',
        )
        return TrustedProxies()


def _spool_folders(
    given: str, url: str, settings: object, environ: Mapping[str, str]
) -> tuple[Path, ...]:
    """List candidate folders for the spool: the setting (``"off"`` for none), else defaults.

    All processes of one project share a folder. Different projects have different folders.
    """
    if given.lower() == "off":
        return ()
    if given:
        return (Path(given),)
    project: tuple[Any, ...] = (
        url,
        getattr(settings, "BASE_DIR", ""),
        getattr(settings, "ROOT_URLCONF", ""),
    )
    name = sha256(repr(tuple(map(str, project))).encode()).hexdigest()[:16]
    homes = (
        environ.get("XDG_STATE_HOME"),
        environ.get("HOME") and f"{environ['HOME']}/.local/state",
    )
    state = next((Path(home) for home in homes if home), None)
    folders = (state / "tetralto-visits" / name,) if state else ()
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return (*folders, Path(tempfile.gettempdir()) / f"tetralto-visits-{user}-{name}")
