"""For ASGI servers: delivers the queued visits when the server shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tetralto_visits.registry import flush

_Message = Mapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Application = Callable[[dict[str, Any], _Receive, _Send], Awaitable[None]]


def flush_on_shutdown(application: _Application) -> _Application:
    """Wrap Django's application, which does not support the lifespan protocol of ASGI.

    After SIGTERM, uvicorn ends its process by that signal, so Python's exit handlers do not run.
    But uvicorn waits for the shutdown event of the lifespan protocol.
    """

    async def wrapped(scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await _handle_lifespan(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _handle_lifespan(receive: _Receive, send: _Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(flush)
    await send({"type": "lifespan.shutdown.complete"})
