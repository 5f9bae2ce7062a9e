"""The table of results."""

from __future__ import annotations

from dataclasses import dataclass, field

from probe import Measured

_HEAD = ("attack", "memory MB", "others' latency ms", "failed", "limit", "result")


@dataclass
class Report:
    """Rows and the number of failures."""

    factor: float
    """Factor for the time limits; larger in the short run."""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    failures: int = 0

    def measured(
        self, attack: str, found: Measured, seconds: float, memory_mb: float | None = None
    ) -> None:
        """Check the latency of other clients and the memory growth."""
        seconds *= self.factor
        is_right = found.failures == 0 and found.longest <= seconds
        limit = f"{seconds * 1000:.0f} ms"
        if memory_mb is not None:
            is_right = is_right and found.peak - found.before <= memory_mb
            limit += f", +{memory_mb:.0f} MB"
        self._row(
            attack,
            f"{found.before:.0f} → {found.peak:.0f} → {found.after:.0f}",
            f"{found.median * 1000:.0f}, max {found.longest * 1000:.0f}",
            f"{found.failures} of {found.requests}",
            limit,
            is_right,
        )

    def counted(self, attack: str, wrong: int, of: int, what: str, examples: list[str]) -> None:
        """Check a count that must be 0."""
        self._row(attack, "", "", f"{int(wrong)} of {of}", f"0 {what}", wrong == 0)
        for example in examples[:5]:
            self.note(example)

    def waited(self, attack: str, seconds: float, limit: float) -> None:
        """Check one time."""
        longest = f"max {seconds * 1000:.0f}"
        self._row(attack, "", longest, "", f"{limit * 1000:.0f} ms", seconds <= limit)

    def skipped(self, attack: str, why: str) -> None:
        """Add an attack that could not be run."""
        self.rows.append((attack, "", "", "", "", f"skipped: {why}"))

    def note(self, text: str) -> None:
        """Add a line without a result."""
        self.rows.append((f"    {text}",))

    def _row(self, attack: str, *cells: str | bool) -> None:
        is_right = bool(cells[-1])
        self.failures += not is_right
        self.rows.append((attack, *map(str, cells[:-1]), "ok" if is_right else "FAILED"))
        print(f"  {attack}: {'ok' if is_right else 'FAILED'}", flush=True)

    def __str__(self) -> str:
        """Format the table."""
        full = [_HEAD, *(row for row in self.rows if len(row) == len(_HEAD))]
        widths = [max(len(row[column]) for row in full) for column in range(len(_HEAD))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
            for row in [_HEAD, *self.rows]
        ]
        return "\n".join(lines)
