"""Routes of the example."""

from django.urls import include, path

from shop import views

urlpatterns = [
    path("", views.home, name="home"),
    path("pricing/", views.pricing, name="pricing"),
    path("quote/", views.quote, name="quote"),
    path("v/", include("tetralto_visits.urls")),
]
