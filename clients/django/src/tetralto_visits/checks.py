"""Django system checks: what is wrong with the settings, and what to do about it."""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004

from tetralto_visits import config


def check_settings(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001
    **_kwargs: Any,  # noqa: ANN401
) -> list[CheckMessage]:
    """Report every problem of the settings; a missing address is a warning, the rest errors."""
    _, problems = config.read(settings, os.environ)
    return [
        (Error if problem.is_error else Warning)(
            problem.message, hint=problem.hint, id=f"tetralto_visits.{problem.code}"
        )
        for problem in problems
    ]
