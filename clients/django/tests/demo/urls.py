"""Routes of the demo site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.static import serve

from demo import views

assets = {"document_root": settings.STATIC_ROOT}

urlpatterns = [
    path("", views.home),
    path("products/<slug:name>/", views.product),
    path("pricing/", views.pricing, name="pricing"),
    path("quote/", views.quote, name="quote"),
    path("private/", views.private),
    path("tall/", views.tall),
    path("visits/", include("tetralto_visits.urls")),
    path("pid/", views.process),
    path("async/", views.unhurried),
    path("broken/", views.broken),
    path("moved/", views.moved),
    path("data.json", views.data),
    path("health/", views.home),
    path("internal/report/", views.home),
    path("stats/", views.counters),
    path("static/<path:path>", serve, assets),
    path("media/<path:path>", serve, assets),
    path("admin/", admin.site.urls),
]
