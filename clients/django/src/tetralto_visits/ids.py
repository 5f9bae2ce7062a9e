"""Ids and timestamps of visits."""

from datetime import datetime, timezone
from functools import lru_cache

_NS_PER_MS = 1_000_000


def uuid7(at_ns: int, entropy: bytes) -> str:
    """Create a UUID version 7 (RFC 9562, section 5.7).

    ``at_ns`` is Unix time in nanoseconds. The fraction of the millisecond fills ``rand_a`` (section
    6.2, method 3), so ids sort by time without shared state, also after a fork. ``entropy`` is at
    least 8 random bytes, of which 62 bits are used.
    """
    milliseconds, below = divmod(at_ns, _NS_PER_MS)
    fraction = below * 4096 // _NS_PER_MS
    first = (milliseconds & ((1 << 48) - 1)) << 16 | 7 << 12 | fraction
    head = first.to_bytes(8, "big").hex()
    tail = entropy.hex()
    variant = "89ab"[entropy[0] >> 4 & 3]
    return f"{head[:8]}-{head[8:12]}-{head[12:]}-{variant}{tail[1:4]}-{tail[4:16]}"


def rfc3339(at_ns: int) -> str:
    """Format Unix time in nanoseconds as RFC 3339 in UTC with milliseconds."""
    seconds, below = divmod(at_ns, 1_000_000_000)
    return f"{_second(seconds)}.{below // _NS_PER_MS:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%dT%H:%M:%S}"
