"""A bounded cache for values that are the same in many requests."""

from __future__ import annotations

from typing import Generic, TypeVar

_Value = TypeVar("_Value")

_MAX_ENTRIES = 256
_MAX_KEY_CHARS = 4096


class BoundedCache(dict[tuple[str | None, ...], _Value], Generic[_Value]):
    """Cached values by a tuple of texts; read them with ``get``.

    Holds at most 256 entries, and none whose texts have more than 4,096 characters together. The
    texts come from visitors and must not fill the memory.
    """

    def store(self, key: tuple[str | None, ...], value: _Value) -> _Value:
        """Store the value and return it."""
        if sum(len(text) for text in key if text) <= _MAX_KEY_CHARS:
            if len(self) >= _MAX_ENTRIES:
                self.clear()
            self[key] = value
        return value
