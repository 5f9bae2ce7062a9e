"""``manage.py tetralto_replay access.log``: imports the page views of access logs."""

from __future__ import annotations

import gzip
import os
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tetralto_visits import access_log, config
from tetralto_visits.backoff import Backoff
from tetralto_visits.connection import Connection
from tetralto_visits.message import VISITS, Message, build_body
from tetralto_visits.page_views import asset_paths
from tetralto_visits.responses import Accepted, Answer, TooLarge, Unavailable, classify

_BATCH = 500
_TIMEOUT_SECONDS = 60.0
_MAX_ATTEMPTS = 8


class Command(BaseCommand):
    """Reads access logs, plain or gzip, and sends their page views in order."""

    help = (
        "Send the page views in access logs: combined or common format, JSON of nginx, Caddy or "
        "Traefik, W3C extended logs. Each line is recorded once, even if it is sent again, so you "
        "can repeat an interrupted run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        parser.add_argument("logs", nargs="+", help="log files, plain or .gz; - for standard input")
        parser.add_argument(
            "--site", required=True, help="URL of the site, such as https://www.example.com"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count the page views without sending them"
        )

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401
        """Read the logs, send the page views, and print the counts."""
        parsed, problems = config.read(settings, os.environ)
        if parsed is None:
            raise CommandError("\n".join(f"{p.message} {p.hint}" for p in problems))
        site = options["site"].rstrip("/")
        if urlsplit(site).scheme not in ("http", "https") or not urlsplit(site).hostname:
            raise CommandError("--site must be a URL such as https://www.example.com")
        counts: Counter[str] = Counter()
        connection = Connection(parsed.target.service_url, parsed.target.token)
        for name in options["logs"]:
            with closing(connection), _open_log(name) as file:
                visits = _page_views(file, site, parsed, counts)
                while batch := list(islice(visits, _BATCH)):
                    if options["dry_run"]:
                        counts["page views"] += len(batch)
                    else:
                        _send(connection, batch, counts)
        self.stdout.write(", ".join(f"{n} {what}" for what, n in counts.items()) or "nothing")


def _page_views(
    file: IO[str], site: str, parsed: config.Config, counts: Counter[str]
) -> Iterator[Message]:
    for line in access_log.read(file):
        if line is None:
            counts["unreadable"] += 1
        elif line.skip_reason is None and _is_recorded(line, parsed.rules):
            yield Message(VISITS, line.visit(site, with_user=parsed.user_id))
        else:
            counts["no page views"] += 1


def _is_recorded(line: access_log.LogLine, rules: config.Rules) -> bool:
    """Whether the settings of the package allow the page view."""
    assets = asset_paths(settings.STATIC_URL, settings.MEDIA_URL)
    return (
        line.status in rules.statuses
        and not line.path.startswith(assets)
        and not rules.excluded.match(line.path)
        and (not rules.included or rules.included.match(line.path))
    )


def _send(connection: Connection, batch: list[Message], counts: Counter[str]) -> None:
    """Send a batch. Split the batch if the service rejects it as a whole."""
    answer = _post(connection, batch)
    if isinstance(answer, Accepted):
        for what in ("recorded", "duplicate", "rejected", "ignored"):
            counts[what] += getattr(answer, what)
    elif isinstance(answer, Unavailable) or (isinstance(answer, TooLarge) and len(batch) == 1):
        sent = ", ".join(f"{n} {what}" for what, n in counts.items())
        raise CommandError(
            f"The service does not accept the visits: {answer.reason}. Sent so far: "
            f"{sent or 'none'}."
        )
    elif len(batch) == 1:
        counts[f"refused ({answer.reason})"] += 1
    else:
        half = len(batch) // 2
        _send(connection, batch[:half], counts)
        _send(connection, batch[half:], counts)


def _post(connection: Connection, batch: list[Message]) -> Answer:
    backoff = Backoff()
    for attempt in range(_MAX_ATTEMPTS):
        reply = connection.post(VISITS, build_body(batch), _TIMEOUT_SECONDS)
        answer = classify(reply, VISITS, len(batch))
        if not isinstance(answer, Unavailable) or attempt + 1 == _MAX_ATTEMPTS:
            break
        backoff.failed(answer.retry_after)
        time.sleep(backoff.seconds_left)
    return answer


@contextmanager
def _open_log(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield TextIOWrapper(sys.stdin.buffer, "utf-8", "surrogateescape", "\n")
        return
    path = Path(name)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield TextIOWrapper(file, "utf-8", "surrogateescape", "\n")
    except OSError as error:
        raise CommandError(f"Cannot read {name}: {error.strerror or error}") from error
