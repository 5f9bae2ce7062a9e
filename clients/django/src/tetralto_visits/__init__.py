"""Reports the page views of a Django site to TetraltoRail's visitor-analytics.

Add ``tetralto_visits.middleware.VisitMiddleware`` to ``MIDDLEWARE``; see the README.
"""

from tetralto_visits.registry import stats
from tetralto_visits.stats import Stats
from tetralto_visits.tracking import track
from tetralto_visits.visit import Visit

__all__ = ["Stats", "Visit", "stats", "track"]
__version__ = "0.2.0"
