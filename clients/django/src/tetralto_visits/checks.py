"""Django system checks of the settings."""

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
    "Add it as the first entry, so that it sees the final response.",
    is_error=False,
)


def check_settings(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001
    **_kwargs: Any,  # noqa: ANN401
) -> list[CheckMessage]:
    """Report all problems of the settings.

    A configuration that disables the recording, which may be intended, is a warning. All other
    problems are errors.
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
