"""``manage.py tetralto_check``: sends a test visit and prints the response."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from os import urandom
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tetralto_visits import config
from tetralto_visits.connection import Connection, NoReply
from tetralto_visits.durable_queue import find_folder
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.message import VISITS
from tetralto_visits.spool import Spool

_HINTS = {
    401: "VISITOR_ANALYTICS_TOKEN is invalid or has expired.",
    403: "The token needs the scope visits:write.",
    404: "This is not visitor-analytics. Check VISITOR_ANALYTICS_SERVICE_URL.",
}


class Command(BaseCommand):
    """Sends one visit like a page view and waits for the response."""

    help = "Send a test visit to visitor-analytics and print the response."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        parser.add_argument(
            "--url", default="https://example.com/tetralto-check", help="URL of the test visit"
        )
        parser.add_argument("--ip", default="192.0.2.1", help="IP address of the test visitor")
        parser.add_argument(
            "--user-agent",
            default="tetralto-check (bot, triggers no notification)",
            help="user agent of the test visitor; the default is classified as a bot",
        )

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401
        """Send the visit and print the response."""
        parsed, problems = config.read(settings, os.environ)
        if parsed is None:
            raise CommandError("\n".join(f"{p.message} {p.hint}" for p in problems))
        target = parsed.target
        self._print_spool(target)
        connection = Connection(target.service_url, target.token)
        self.stdout.write(f"POST {target.service_url}{VISITS}")
        started = time.perf_counter()
        reply = connection.post(VISITS, _visit(options), target.timeout_seconds)
        elapsed_ms = (time.perf_counter() - started) * 1000
        connection.close()
        if isinstance(reply, NoReply):
            raise CommandError(f"No response: {reply.reason}. Is the service running at this URL?")
        self.stdout.write(f"HTTP {reply.status} after {elapsed_ms:.0f} ms")
        self.stdout.write(_format_json(reply.content))
        if not 200 <= reply.status < 300:
            raise CommandError(_HINTS.get(reply.status, "The visit was not recorded."))

    def _print_spool(self, target: config.Target) -> None:
        folder = find_folder(target.spool_folders)
        if folder is None:
            self.stdout.write("No spool: visits are kept in memory if the service is unavailable.")
        else:
            count = Spool(folder, target.spool_bytes).count()
            self.stdout.write(f"{count} visits wait in {folder}")


def _visit(options: dict[str, Any]) -> bytes:
    at_ns = time.time_ns()
    visit = {
        "id": uuid7(at_ns, urandom(8)),
        "timestamp": rfc3339(at_ns),
        "url": options["url"],
        "ip": options["ip"],
        "user_agent": options["user_agent"],
        "properties": {"route": "tetralto_check"},
    }
    return json.dumps(visit).encode()


def _format_json(content: bytes) -> str:
    try:
        return json.dumps(json.loads(content), indent=2, ensure_ascii=False)
    except ValueError:
        return content.decode(errors="replace")
