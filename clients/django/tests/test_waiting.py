"""The queue in memory: bounded in number and weight, each kind in its turn."""

from tetralto_visits.parcel import EVENTS, LARGEST_BODY, VISITS, Parcel
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
        waiting.settle()
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
    waiting.settle()
    assert [waiting.add(visit(number)) for number in range(3)] == [True, True, False]


def test_heavy_parcels_fill_it_earlier_and_go_in_smaller_batches() -> None:
    waiting = Waiting(10_000)
    heavy = Parcel(VISITS, b"x" * (LARGEST_BODY // 4))
    taken = sum(waiting.add(heavy) for _ in range(1000))
    assert taken * len(heavy.body) < 7_000_000
    assert len(waiting.take(100)) == 3
    waiting.settle()
    waiting.take_all()
    waiting.settle()
    assert sum(waiting.add(heavy) for _ in range(1000)) == taken, "nothing is left of the weight"
