"""The queue in memory: bounded in number and bytes; the kinds take turns."""

import gc
import tracemalloc

from django.http import HttpRequest
from django.test import RequestFactory

from tetralto_visits.address import Peers, TrustedProxies
from tetralto_visits.memory_queue import MemoryQueue
from tetralto_visits.message import EVENTS, MAX_BODY_BYTES, VISITS, Message
from tetralto_visits.payload import capture_visit
from tetralto_visits.visit import Visit


def visit(number: int) -> Message:
    return Message(VISITS, b'{"n":%d}' % number)


def event(number: int) -> Message:
    return Message(EVENTS, b'{"n":%d}' % number)


def test_each_kind_has_its_turn() -> None:
    queue = MemoryQueue(1000)
    for number in range(150):
        queue.add(visit(number))
        queue.add(event(number))
    queue.add(Message("/visits/1/engagement", b"{}"))
    queue.add(Message("/visits/2/engagement", b"{}"))
    lengths = []
    while batch := queue.take(100):
        assert len({message.path for message in batch}) == 1
        lengths.append(len(batch))
        queue.settle(len(batch))
    assert lengths == [100, 100, 1, 50, 50, 1]
    assert len(queue) == 0


def test_what_is_put_back_is_the_first_again() -> None:
    queue = MemoryQueue(10)
    for number in range(4):
        queue.add(visit(number))
    assert queue.take(2) == [visit(0), visit(1)]
    assert (len(queue), queue.queued) == (4, 2)
    queue.requeue()
    assert queue.take_all() == [visit(number) for number in range(4)]


def test_what_is_under_way_counts_for_the_bound() -> None:
    queue = MemoryQueue(3)
    assert [queue.add(visit(number)) for number in range(4)] == [True, True, True, False]
    queue.take(2)
    assert not queue.add(visit(9))
    queue.settle(2)
    assert [queue.add(visit(number)) for number in range(3)] == [True, True, False]


def test_a_suspect_goes_alone_after_a_batch_of_the_others() -> None:
    queue = MemoryQueue(5)
    for number in range(4):
        queue.add(visit(number))
    queue.take(2)
    queue.settle(1)
    queue.set_apart()
    assert [queue.add(visit(4)), queue.add(visit(5)), queue.add(visit(6))] == [
        True,
        True,
        False,
    ], "it counts for the bound"
    assert (queue.take(100), queue.is_suspect) == ([visit(n) for n in (2, 3, 4, 5)], False)
    queue.settle(4)
    assert (queue.take(100), queue.is_suspect) == ([visit(1)], True)
    queue.requeue()
    queue.add(visit(7))
    assert queue.take(100) == [visit(7)]
    queue.settle(1)
    assert queue.take(100) == [visit(1)]


def test_heavy_messages_fill_it_earlier_and_go_in_smaller_batches() -> None:
    queue = MemoryQueue(10_000)
    heavy = Message(VISITS, b"x" * (MAX_BODY_BYTES // 4))
    taken = sum(queue.add(heavy) for _ in range(1000))
    assert taken * len(heavy.body) < 7_000_000
    assert len(queue.take(100)) == 3
    queue.settle(3)
    queue.settle(len(queue.take_all()))
    assert sum(queue.add(heavy) for _ in range(1000)) == taken, "nothing is left of the weight"


def test_a_queue_full_of_visits_that_share_nothing_keeps_its_bound() -> None:
    """The bound for the whole package is 10 MB; its modules take 2 to 3 MB."""
    queue, peers, number = MemoryQueue(10_000), Peers(TrustedProxies()), 0
    tracemalloc.start()
    try:
        while queue.add(capture_visit(unlike_others(number), Visit(), 200, peers, None)):
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
