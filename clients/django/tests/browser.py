"""Controls an installed Chromium through the pipes of the Chrome DevTools Protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str:
    """Find an installed Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"none of {', '.join(NAMES)} is installed"
    return found


def command(profile: Path, *arguments: str) -> list[str]:
    """Return the command that starts a headless browser."""
    return [
        find_browser(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        *arguments,
    ]


class Browser:
    """A browser with one page. It reads commands from descriptor 3 and writes responses to 4."""

    def __init__(self, folder: Path) -> None:
        there_reads, self._to = os.pipe()
        self._from, there_writes = os.pipe()

        def lay_pipes() -> None:
            # Uses higher numbers first, because these descriptors may be 3 and 4 themselves.
            os.dup2(there_reads, 103)
            os.dup2(there_writes, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        with (folder / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                command(folder / "profile", "--remote-debugging-pipe"),
                stdout=log,
                stderr=log,
                preexec_fn=lay_pipes,
                close_fds=False,
            )
        os.close(there_reads)
        os.close(there_writes)
        self._answers = os.fdopen(self._from, "rb")
        self._number = 0
        self._session: str | None = None
        (target,) = (
            one for one in self._ask("Target.getTargets")["targetInfos"] if one["type"] == "page"
        )
        attached = self._ask(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        self._session = attached["sessionId"]

    def open(self, url: str) -> None:
        """Open a page, like a typed URL."""
        self._ask("Page.navigate", {"url": url})

    def evaluate(self, script: str) -> Any:  # noqa: ANN401
        """Run JavaScript in the page with user activation and return the result."""
        arguments = {"expression": script, "returnByValue": True, "userGesture": True}
        return self._ask("Runtime.evaluate", arguments)["result"].get("value")

    def close(self) -> None:
        """Close the browser."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._answers.close()
        os.close(self._to)

    def _ask(self, method: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                assert "result" in answer, answer
                return answer["result"]

    def _read(self) -> bytes:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has exited"
            text += byte
        return bytes(text)
