"""Tells TetraltoRail's visitor-analytics who visits a Django site.

Add ``tetralto_visits.middleware.VisitMiddleware`` to ``MIDDLEWARE``; see the README.
"""

from tetralto_visits.delivery import stats
from tetralto_visits.stats import Stats

__all__ = ["Stats", "stats"]
__version__ = "0.1.0"
