"""Django system checks: what is wrong with the settings, and what to do about it."""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004

from tetralto_visits import config

_MIDDLEWARE = "tetralto_visits.middleware.VisitMiddleware"
_NO_MIDDLEWARE = config.Problem(
    "W009",
    f"{_MIDDLEWARE} is not in MIDDLEWARE: no visits are recorded.",
    "List it first, so that it sees what the visitor gets.",
    is_error=False,
)


def check_settings(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001
    **_kwargs: Any,  # noqa: ANN401
) -> list[CheckMessage]:
    """Report every problem of the settings.

    What only leaves visits unrecorded on purpose, perhaps, is a warning; the rest are errors.
    """
    _, problems = config.read(settings, os.environ)
    if _MIDDLEWARE not in settings.MIDDLEWARE:
        problems.append(_NO_MIDDLEWARE)
    return [
        (Error if problem.is_error else Warning)(
            problem.message, hint=problem.hint, id=f"tetralto_visits.{problem.code}"
        )
        for problem in problems
    ]
