"""The Django application. It registers the system checks."""

from django.apps import AppConfig
from django.core import checks

from tetralto_visits.checks import check_settings


class TetraltoVisitsConfig(AppConfig):
    """Listed as ``"tetralto_visits"`` in ``INSTALLED_APPS``."""

    name = "tetralto_visits"
    verbose_name = "Tetralto visits"

    def ready(self) -> None:
        """Register the checks that ``manage.py check`` runs."""
        checks.register(check_settings)
