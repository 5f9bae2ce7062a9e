"""Answers that are remembered, because the same is asked for by one request after the other."""

from __future__ import annotations

from typing import Generic, TypeVar

_Value = TypeVar("_Value")

_MOST_ENTRIES = 256
_LONGEST_KEY = 4096


class Memo(dict[tuple[str | None, ...], _Value], Generic[_Value]):
    """Values by the texts that they follow from; ``get`` finds them.

    Holds at most 256, and none for texts of more than 4,096 characters together: the texts come
    from visitors, and must not fill the memory.
    """

    def keep(self, key: tuple[str | None, ...], value: _Value) -> _Value:
        """Remember the value, and return it."""
        if sum(len(text) for text in key if text) <= _LONGEST_KEY:
            if len(self) >= _MOST_ENTRIES:
                self.clear()
            self[key] = value
        return value
