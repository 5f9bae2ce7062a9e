"""Views of the demo site: pages, and responses that are not pages."""

import asyncio
import os
from dataclasses import asdict
from decimal import Decimal

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

import tetralto_visits
from tetralto_visits import Visit, track

PAGE = "<!doctype html><title>{0}</title><h1>{0}</h1>"


@csrf_exempt
def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE.format("Home"))


def product(_request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(PAGE.format(name))


def pricing(request: HttpRequest) -> HttpResponse:
    visit: Visit = request.visit  # type: ignore[attr-defined]
    visit.title = "Our prices"
    visit.visitor_id = "visitor-7"
    visit.properties["plan"] = "pro"
    visit.properties["price"] = Decimal("9.90")
    return HttpResponse(PAGE.format("Pricing"))


def quote(request: HttpRequest) -> HttpResponse:
    request.visit.name = "The quote"  # type: ignore[attr-defined]
    track(request, "quote_requested", {"rooms": 3})
    return HttpResponse(PAGE.format("Thank you"))


def private(request: HttpRequest) -> HttpResponse:
    request.visit.skip()  # type: ignore[attr-defined]
    return HttpResponse(PAGE.format("Private"))


def tall(request: HttpRequest) -> HttpResponse:
    return render(request, "tall.html")


def process(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"pid": os.getpid()})


async def unhurried(_request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(PAGE.format("Async"))


def broken(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("this view is broken")


def moved(_request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/")


def data(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"a": 1})


def counters(_request: HttpRequest) -> HttpResponse:
    return JsonResponse(asdict(tetralto_visits.stats()))
