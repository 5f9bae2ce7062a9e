"""Settings of the demo site. The package reads its settings from the environment."""

import os
from pathlib import Path

HERE = Path(__file__).parent

DEBUG = False
SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["www.example.com", "testserver"]
ROOT_URLCONF = "demo.urls"
WSGI_APPLICATION = "demo.wsgi.application"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = HERE / "assets"
MEDIA_URL = "media/"
MEDIA_ROOT = HERE / "assets"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tetralto_visits",
]
MIDDLEWARE = [
    "tetralto_visits.middleware.VisitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "demo.csp.nonce",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
if os.environ.get("TETRALTO_DEMO_CSP"):
    MIDDLEWARE.append("demo.csp.OnlyWithNonce")
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
TETRALTO = {"EXCLUDE_PATHS": ["/internal/*"]}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"tetralto_visits": {"handlers": ["stderr"], "level": "INFO"}},
}
