"""Splits the fields of access logs.

visitor-analytics applies the same rules to ``POST /import``; ``access_log_cases.jsonl`` tests both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from tetralto_visits.address import Address, parse_address

_MAX_TIME_CHARS = 40
_MAX_HOST_CHARS = 253
_MAX_USER_BYTES = 128
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?"
_ZONE = r" ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})"
_LOG_TIME = re.compile(rf"(\d{{1,2}})/([A-Za-z]{{3}})/(\d{{4}}):{_CLOCK}{_ZONE}", re.ASCII)
_ISO_TIME = re.compile(rf"(\d{{4}})[-/](\d{{2}})[-/](\d{{2}})[T ]{_CLOCK}{_ZONE}", re.ASCII)
_HOST = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9._-]*\.[A-Za-z0-9._-]*")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})|\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class AddressFields(NamedTuple):
    """The fields before the time."""

    address: Address
    """The first address of the line: behind proxies, the others are those of the proxies."""
    host: str | None
    """The virtual host, without port."""
    user: str | None


def split_at_time(line: str) -> tuple[str, datetime, str] | None:
    """Split a line at the time in brackets before the request."""
    start = line.find("[")
    while start >= 0:
        end = line.find("]", start, start + 1 + _MAX_TIME_CHARS)
        if end >= 0:
            rest = line[end + 1 :].lstrip(" \t")
            time = parse_time(line[start + 1 : end]) if rest.startswith('"') else None
            if time is not None:
                return line[:start], time, rest
        start = line.find("[", start + 1)
    return None


def parse_time(text: str) -> datetime | None:
    """Parse a time with its time zone, whatever the locale."""
    text = text.strip()
    if found := _LOG_TIME.fullmatch(text):
        day, month, year, *clock = found.groups()
        name = month.lower()
        if name not in _MONTHS:
            return None
        date = (int(year), _MONTHS.index(name) + 1, int(day))
    elif found := _ISO_TIME.fullmatch(text):
        year, month, day, *clock = found.groups()
        date = (int(year), int(month), int(day))
    else:
        return None
    hour, minute, second, fraction, zone = clock
    try:
        return datetime(
            *date,
            int(hour),
            int(minute),
            int(second),
            int((fraction or "0").ljust(6, "0")[:6]),
            tzinfo=_parse_zone(zone),
        )
    except ValueError:
        return None


def _parse_zone(text: str) -> timezone:
    if not text.startswith(("+", "-")):
        return timezone.utc
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text.startswith("-") else offset)


def parse_address_fields(text: str) -> AddressFields | None:
    """Parse ``[host[:port]] address[, proxy…] identity user``. The user may contain blanks."""
    words = _strip_program_tag([word for word in re.split("[ \t]", text) if word])
    first = next((n for n, word in enumerate(words) if first_address(word)), None)
    if first is None:
        return None
    host: str | None = None
    if first > 0:
        is_host = not _is_placeholder(words[0])
        # With one more word, the first is the name of the visitor's host, and the address a user.
        if not all(map(_is_placeholder, words[1:first])) or (
            is_host and first > 1 and len(words) - first - 1 < 2
        ):
            return None
        host = words[0] if is_host else None
    elif len(words) > 1 and _has_port(words[0]) and first_address(words[1]):
        # Apache writes the port of a virtual host, even if the host is an address.
        host, first = words[0], 1
    address = first_address(words[first])
    identity, *user = _identity_and_user(words[first:]) or [""]
    # lighttpd writes the virtual host in the place of the identity.
    host = host or (identity if user else None)
    return AddressFields(address, host_name(host or ""), _join_user(user)) if address else None


def _strip_program_tag(words: list[str]) -> list[str]:
    """Remove what a collector puts before a line: ``Nov 20 10:13:55 web nginx[7]:``, ``web |``."""
    tag = -1
    for n, word in enumerate(words):
        if first_address(word):
            break
        if word == "|" or (word.endswith(":") and len(word) > 1):
            tag = n
    return words[tag + 1 :]


def _identity_and_user(words: Sequence[str]) -> list[str]:
    is_list = True
    others = []
    for word in words:
        if not is_list and not first_address(word):
            others.append(word)
        is_list = is_list and word.endswith(",")
    return others


def _join_user(words: list[str]) -> str | None:
    given = [n for n, word in enumerate(words) if word not in ("-", '""')]
    if not given:
        return None
    user = unescape(" ".join(words[given[0] : given[-1] + 1])).strip('"')
    is_valid = 0 < len(user.encode()) <= _MAX_USER_BYTES and not _CONTROL.search(user)
    return user if is_valid else None


def first_address(text: str) -> Address | None:
    """Parse an address; of a list, the first."""
    for part in text.split(","):
        if not _is_placeholder(part.strip()):
            return parse_address(part.strip().strip('"'))
    return None


def _is_placeholder(word: str) -> bool:
    return word.rstrip(",") in ("-", "unknown", "")


def _has_port(word: str) -> bool:
    return not word.endswith(",") and ("]:" in word or word.count(":") == 1)


def host_name(text: str) -> str | None:
    """Return a host in lower case and without port; ``None`` if it cannot be a public host."""
    host = text.partition(":")[0].rstrip(".")
    return host.lower() if len(host) <= _MAX_HOST_CHARS and _HOST.fullmatch(host) else None


def split_fields(text: str, most: int) -> list[tuple[bool, str]] | None:
    """Split fields up to the last of ``most`` quoted ones; ``None`` if a quote is not closed.

    Returns for each field whether it is quoted, and its text.
    """
    fields: list[tuple[bool, str]] = []
    rest = text.lstrip(" \t")
    while rest and most:
        if rest.startswith('"'):
            quoted = split_quoted(rest)
            if quoted is None:
                return None
            value, rest = quoted
            fields.append((True, value))
            most -= 1
        else:
            value = re.split("[ \t]", rest, maxsplit=1)[0]
            rest = rest[len(value) :]
            fields.append((False, value))
        rest = rest.lstrip(" \t")
    return fields


def split_quoted(text: str) -> tuple[str, str] | None:
    """Split a quoted text from what follows.

    Some servers do not escape quotes, so a quote only closes the text before a blank or the end.
    """
    place = 1
    while place < len(text):
        if text[place] == "\\":
            place += 2
        elif text[place] == '"' and text[place + 1 : place + 2] in ("", " ", "\t"):
            return unescape(text[1:place]), text[place + 1 :]
        else:
            place += 1
    return None


def unescape(text: str) -> str:
    r"""Undo ``\"``, ``\\``, ``\t`` and bytes such as ``\xC3``."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(_unescaped, text.encode())
    return raw.decode("utf-8", "replace")


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes.fromhex(found[1].decode())
    return b" " if found[2] in b"tnrvb" else found[2]


def given(text: str | None) -> str | None:
    """Return ``None`` for the placeholder ``-``."""
    return None if text in (None, "", "-") else text
