"""Settings of the example, with the settings of the package at the end."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
DEBUG = True
SECRET_KEY = "only an example"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
ASGI_APPLICATION = "shop.asgi.application"
USE_TZ = True
STATIC_URL = "static/"
INSTALLED_APPS = ["tetralto_visits", "shop"]
MIDDLEWARE = [
    "tetralto_visits.middleware.VisitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

# The system started by ./dev run writes a token with all scopes to its data folder.
_token = BASE_DIR.parents[2] / ".tetralto" / "token"
VISITOR_ANALYTICS_SERVICE_URL = os.environ.get(
    "VISITOR_ANALYTICS_SERVICE_URL", "http://127.0.0.1:8002"
)
VISITOR_ANALYTICS_TOKEN = os.environ.get("VISITOR_ANALYTICS_TOKEN") or (
    _token.read_text().strip() if _token.exists() else ""
)
TETRALTO = {
    "EXCLUDE_PATHS": ["/internal/*"],
    "RESPECT_DNT": True,
}
