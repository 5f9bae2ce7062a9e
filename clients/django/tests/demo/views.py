"""Views of the demo site: pages, and what is no page."""

import asyncio
from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.views.decorators.csrf import csrf_exempt

import tetralto_visits

PAGE = "<!doctype html><title>{0}</title><h1>{0}</h1>"


@csrf_exempt
def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE.format("Home"))


def product(_request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(PAGE.format(name))


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
