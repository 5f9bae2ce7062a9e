"""The spool: a bounded SQLite file with messages that all processes of a site share."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tetralto_visits.message import MAX_BODY_BYTES, Message, Sendable

# Messages are compressed one by one with a preset dictionary (RFC 1950, section 2.2), because they
# are similar. The most frequent strings are at the end. If the dictionary changes, the file needs a
# new name.
_NAME = "spool-1.sqlite3"
_DICTIONARY = (
    b'{"event_type":"site":"visitor_id":null,"ip":,"user_agent":,"metadata":{},'
    b'"engagement_seconds":,"scroll_depth":'
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    b"Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
    b"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
    b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/142.0.0.0 Mobile Safari/537.36"
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
    b'"sec-fetch-site":"same-origin""sec-fetch-site":"cross-site"'
    b'"sec-ch-ua-mobile":"?1","sec-ch-ua-platform":"\\"Android\\"""\\"macOS\\"""\\"Linux\\""'
    b'"sec-purpose":"prefetch","dnt":"1","sec-gpc":"1",'
    b'{"id":"01","site":null,"timestamp":"2027-01-01T00:00:00.000Z","url":"https://www.",'
    b'"ip":"1","user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 '
    b'(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36","referrer":"https://www.google.com/",'
    b'"referrer":null,"title":null,"method":"GET","status_code":200,"response_time_ms":12,'
    b'"http_version":null,"http_version":"1.1","headers":{"accept":"text/html,'
    b"application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    b'application/signed-exchange;v=b3;q=0.7","accept-language":"en-US,en;q=0.9",'
    b'"accept-encoding":"gzip, deflate, br, zstd","sec-fetch-dest":"document",'
    b'"sec-fetch-mode":"navigate","sec-fetch-site":"none","sec-fetch-user":"?1",'
    b'"sec-ch-ua":"\\"Chromium\\";v=\\"142\\", \\"Google Chrome\\";v=\\"142\\", '
    b'\\"Not_A Brand\\";v=\\"99\\"","sec-ch-ua-mobile":"?0","sec-ch-ua-platform":'
    b'"\\"Windows\\"","upgrade-insecure-requests":"1"},"visitor_id":null,"user_id":null,'
    b'"properties":{"route":"'
)
_SELECT = "select number, path, body, retry_at from parcel"
# ``retry_at`` is the Unix time of the next attempt for messages that fail alone, and 0 for others.
# A time further ahead than the pause was set by a wrong clock and is ignored.
SUSPECT_PAUSE_SECONDS = 600.0
_DUE = "(retry_at <= :now or retry_at > :now + :pause)"
_PAGE = 4096
_LOCK_TIMEOUT_SECONDS = 2.0


class StoredMessage(NamedTuple):
    """A message on disk."""

    number: int
    message: Message
    is_suspect: bool = False
    """Whether it fails alone and must be posted alone."""


class Spool:
    """Messages in the order in which they were stored.

    Each call opens and closes the file, because SQLite connections must not be used after a fork.
    All calls raise ``sqlite3.Error`` or ``OSError`` if the file cannot be used; ``put`` also if the
    file is full.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._path = folder / _NAME
        self._max_pages = max(8, max_bytes // _PAGE)

    def put(self, messages: Sequence[Sendable], retry_at: float = 0.0) -> None:
        """Store all messages or none. ``retry_at`` is set for suspects."""
        if not self._path.exists():
            # The file contains addresses, so only its owner may read it. The journal inherits the
            # mode.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        rows = [(message.path, _pack(message.body), retry_at) for message in messages]
        with self._open() as connection:
            connection.executemany(
                "insert into parcel (path, body, retry_at) values (?, ?, ?)", rows
            )

    def oldest(self, most: int, now: float) -> list[StoredMessage]:
        """Read the first message that is due, and further ones that can be posted with it."""
        if self.is_empty():
            return []
        asked = {"now": now, "pause": SUSPECT_PAUSE_SECONDS, "most": most, "path": ""}
        with self._open() as connection:
            rows = connection.execute(
                f"{_SELECT} where {_DUE} order by number limit 1", asked
            ).fetchall()
            if rows and not rows[0][3] and Message(rows[0][1], b"").is_batchable:
                asked["path"] = rows[0][1]
                rows = connection.execute(
                    f"{_SELECT} where path = :path and retry_at = 0 order by number limit :most",
                    asked,
                ).fetchall()
        return _within_a_body(rows)

    def postpone(self, number: int, retry_at: float) -> None:
        """Set the time of the next attempt of a message."""
        with self._open() as connection:
            connection.execute(
                "update parcel set retry_at = ? where number = ?", (retry_at, number)
            )

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete messages."""
        with self._open() as connection:
            connection.executemany("delete from parcel where number = ?", [(n,) for n in numbers])

    def count(self) -> int:
        """Count the messages."""
        if self.is_empty():
            return 0
        with self._open() as connection:
            found: int = connection.execute("select count(*) from parcel").fetchone()[0]
        return found

    def is_empty(self) -> bool:
        """Whether the file is missing or empty. Does not use SQLite."""
        return not self._path.exists() or self._path.stat().st_size == 0

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_SECONDS)
        try:
            # The file shrinks when messages are deleted, and their content is overwritten.
            connection.execute("pragma auto_vacuum = full")
            connection.execute("pragma secure_delete = on")
            connection.execute(f"pragma max_page_count = {self._max_pages}")
            with connection:
                connection.execute(
                    "create table if not exists parcel"
                    " (number integer primary key autoincrement, path text not null,"
                    " body blob not null, retry_at real not null default 0)"
                )
                _add_retry_at(connection)
                yield connection
        finally:
            connection.close()


def _add_retry_at(connection: sqlite3.Connection) -> None:
    """Add the column to files of version 0.2."""
    columns = connection.execute("pragma table_info(parcel)").fetchall()
    if all(column[1] != "retry_at" for column in columns):
        connection.execute("alter table parcel add column retry_at real not null default 0")


def _within_a_body(rows: Sequence[tuple[int, str, bytes, float]]) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    size = 0
    for number, path, packed, retry_at in rows:
        body = _unpack(packed)
        size += len(body)
        if found and size > MAX_BODY_BYTES:
            break
        found.append(StoredMessage(number, Message(path, body), retry_at != 0))
    return found


def _pack(body: bytes) -> bytes:
    packer = zlib.compressobj(level=9, zdict=_DICTIONARY)
    return packer.compress(body) + packer.flush()


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(zdict=_DICTIONARY)
    return unpacker.decompress(packed) + unpacker.flush()
