"""URLs of the page script and its reports: ``path("v/", include("tetralto_visits.urls"))``."""

from django.urls import path

from tetralto_visits import views

app_name = "tetralto_visits"
urlpatterns = [
    path("script.js", views.script, name="script"),
    path("engagement", views.engagement, name="engagement"),
]
