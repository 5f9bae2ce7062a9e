"""The queue in memory: bounded in number and weight, each kind in its turn."""

import gc
import tracemalloc

from django.http import HttpRequest
from django.test import RequestFactory

from tetralto_visits.address import Peers, TrustedProxies
from tetralto_visits.note import note_visit
from tetralto_visits.parcel import EVENTS, LARGEST_BODY, VISITS, Parcel
from tetralto_visits.visit import Visit
from tetralto_visits.waiting import Waiting


def visit(number: int) -> Parcel:
    return Parcel(VISITS, b'{"n":%d}' % number)


def event(number: int) -> Parcel:
    return Parcel(EVENTS, b'{"n":%d}' % number)


def test_each_kind_has_its_turn() -> None:
    waiting = Waiting(1000)
    for number in range(150):
        waiting.add(visit(number))
        waiting.add(event(number))
    waiting.add(Parcel("/visits/1/engagement", b"{}"))
    waiting.add(Parcel("/visits/2/engagement", b"{}"))
    lengths = []
    while batch := waiting.take(100):
        assert len({parcel.path for parcel in batch}) == 1
        lengths.append(len(batch))
        waiting.settle(len(batch))
    assert lengths == [100, 100, 1, 50, 50, 1]
    assert len(waiting) == 0


def test_what_is_put_back_is_the_first_again() -> None:
    waiting = Waiting(10)
    for number in range(4):
        waiting.add(visit(number))
    assert waiting.take(2) == [visit(0), visit(1)]
    assert (len(waiting), waiting.queued) == (4, 2)
    waiting.put_back()
    assert waiting.take_all() == [visit(number) for number in range(4)]


def test_what_is_under_way_counts_for_the_bound() -> None:
    waiting = Waiting(3)
    assert [waiting.add(visit(number)) for number in range(4)] == [True, True, True, False]
    waiting.take(2)
    assert not waiting.add(visit(9))
    waiting.settle(2)
    assert [waiting.add(visit(number)) for number in range(3)] == [True, True, False]


def test_a_suspect_goes_alone_after_a_batch_of_the_others() -> None:
    waiting = Waiting(5)
    for number in range(4):
        waiting.add(visit(number))
    waiting.take(2)
    waiting.settle(1)
    waiting.set_apart()
    assert [waiting.add(visit(4)), waiting.add(visit(5)), waiting.add(visit(6))] == [
        True,
        True,
        False,
    ], "it counts for the bound"
    assert (waiting.take(100), waiting.is_suspect) == ([visit(n) for n in (2, 3, 4, 5)], False)
    waiting.settle(4)
    assert (waiting.take(100), waiting.is_suspect) == ([visit(1)], True)
    waiting.put_back()
    waiting.add(visit(7))
    assert waiting.take(100) == [visit(7)]
    waiting.settle(1)
    assert waiting.take(100) == [visit(1)]


def test_heavy_parcels_fill_it_earlier_and_go_in_smaller_batches() -> None:
    waiting = Waiting(10_000)
    heavy = Parcel(VISITS, b"x" * (LARGEST_BODY // 4))
    taken = sum(waiting.add(heavy) for _ in range(1000))
    assert taken * len(heavy.body) < 7_000_000
    assert len(waiting.take(100)) == 3
    waiting.settle(3)
    waiting.settle(len(waiting.take_all()))
    assert sum(waiting.add(heavy) for _ in range(1000)) == taken, "nothing is left of the weight"


def test_a_queue_full_of_visits_that_share_nothing_keeps_its_bound() -> None:
    """10 MB is promised for the whole package; its modules take 2 to 3."""
    waiting, peers, number = Waiting(10_000), Peers(TrustedProxies()), 0
    tracemalloc.start()
    try:
        while waiting.add(note_visit(unlike_others(number), Visit(None), 200, peers, None)):
            number += 1
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number > 4000
    assert taken < 7_500_000


def unlike_others(number: int) -> HttpRequest:
    headers = {
        "User-Agent": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {number}",
        "Accept": f"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8;n={number}",
        "Accept-Language": f"en-GB,en-US;q=0.9,en;q=0.8;n={number}",
        "Referer": f"https://www.example.com/products/lamp-{number}/",
    }
    return RequestFactory().get(f"/products/lamp-{number}/?n={number}", headers=headers)
