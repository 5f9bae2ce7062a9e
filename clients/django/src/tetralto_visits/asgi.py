"""For ASGI servers: deliver what waits when the server says that it shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tetralto_visits.delivery import flush

_Message = Mapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Application = Callable[[dict[str, Any], _Receive, _Send], Awaitable[None]]


def flush_on_shutdown(application: _Application) -> _Application:
    """Wrap Django's application, which knows nothing of ASGI's lifespan protocol.

    uvicorn ends a process that got SIGTERM by that signal, so Python's exit handlers never run;
    the lifespan's shutdown is what it waits for.
    """

    async def wrapped(scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _live(receive: _Receive, send: _Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(flush)
    await send({"type": "lifespan.shutdown.complete"})
