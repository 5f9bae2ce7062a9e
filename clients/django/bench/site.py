"""A Django project with one page, and a typical browser request."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

PAGE = """<!doctype html><title>{{ title }}</title><ul>
{% for product in products %}<li>{{ product }}</li>{% endfor %}</ul>"""
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/products/lamp/",
    "QUERY_STRING": "utm_source=newsletter",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "203.0.113.7",
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "HTTP_HOST": "www.example.com",
    "HTTP_USER_AGENT": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en-US;q=0.9,en;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_SEC_FETCH_DEST": "document",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_SITE": "cross-site",
    "HTTP_SEC_FETCH_USER": "?1",
    "HTTP_SEC_CH_UA": '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"',
    "HTTP_SEC_CH_UA_MOBILE": "?0",
    "HTTP_SEC_CH_UA_PLATFORM": '"Windows"',
    "HTTP_UPGRADE_INSECURE_REQUESTS": "1",
    "HTTP_REFERER": "https://www.google.com/",
    "HTTP_COOKIE": "theme=dark; consent=yes",
}


def page(_request: HttpRequest, name: str) -> HttpResponse:
    """Render a list of twenty products."""
    context = {"title": name, "products": range(20)}
    return HttpResponse(engines["django"].from_string(PAGE).render(context))


urlpatterns = [path("products/<slug:name>/", page)]


class Site:
    """The project with or without the middleware. ``own`` are the settings of the package."""

    def __init__(self, own: dict[str, Any] | None) -> None:
        ordinary = [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ]
        tracking = [] if own is None else ["tetralto_visits.middleware.VisitMiddleware"]
        settings.configure(
            SECRET_KEY="only for measuring",
            ALLOWED_HOSTS=["www.example.com"],
            ROOT_URLCONF="bench.site",
            MIDDLEWARE=[*tracking, *ordinary],
            INSTALLED_APPS=[
                "django.contrib.auth",
                "django.contrib.contenttypes",
                "django.contrib.sessions",
                "django.contrib.messages",
            ],
            TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
            TETRALTO=own or {},
            STATIC_URL="static/",
        )
        django.setup()
        self._handler = WSGIHandler()

    def ask(self, **other: str) -> None:
        """Handle one request like a WSGI server."""
        environ = {**ENVIRON, **other, "wsgi.input": BytesIO()}
        response = self._handler(environ, lambda *_: None)
        b"".join(response)
        response.close()
