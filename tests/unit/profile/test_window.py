"""The event-id window: exact within its bounds, and it says when it ran over."""

import random

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.clock_skew import LATEST
from services.profile.columns import pack_column, pack_halves, unpack_column, unpack_halves
from services.profile.window import CAPACITY, WINDOW_MINUTES, Verdict, Window, digest
from tests.unit.profile.builders import DAY, MINUTE, NOW


def test_a_redelivered_event_meets_its_own_digest() -> None:
    window = Window()
    window.remember(digest("a"), 7, NOW)
    assert window.judge(digest("a"), 7) is Verdict.REDELIVERED
    assert window.judge(digest("a"), 8) is Verdict.DUPLICATE
    assert window.judge(digest("b"), 8) is Verdict.NEW


def test_ids_are_known_for_a_day_of_received_time() -> None:
    window = Window()
    window.remember(digest("old"), 1, NOW)
    window.remember(digest("almost"), 2, NOW + DAY)
    assert window.judge(digest("old"), 9) is Verdict.DUPLICATE
    window.remember(digest("later"), 3, NOW + DAY + 2 * MINUTE)
    assert window.judge(digest("old"), 9) is Verdict.NEW
    assert window.judge(digest("almost"), 9) is Verdict.DUPLICATE


def test_the_window_is_exact_up_to_its_capacity_and_then_says_so() -> None:
    window = Window()
    assert not any(window.remember(digest(str(n)), n, NOW) for n in range(CAPACITY))
    assert all(window.judge(digest(str(n)), -1) is Verdict.DUPLICATE for n in range(CAPACITY))
    assert window.remember(digest("one more"), CAPACITY, NOW)
    assert len(window) == CAPACITY
    assert window.judge(digest("0"), -1) is Verdict.NEW


@given(
    st.lists(
        st.tuples(st.text(max_size=5), st.integers(0, 2**36), st.integers(NOW, NOW + DAY)),
        max_size=50,
    )
)
def test_a_window_survives_its_packing(marks) -> None:
    window = Window()
    for event_id, offset, received_at in marks:
        window.remember(digest(event_id), offset, received_at)
    again = Window.unpack(window.pack())
    assert again.pack() == window.pack()
    for event_id, offset, _ in marks:
        assert again.judge(digest(event_id), offset) is window.judge(digest(event_id), offset)


def test_the_window_tells_deliveries_apart_up_to_the_latest_time_there_is() -> None:
    window = Window()
    window.remember(digest("a"), 7, LATEST)
    assert window.judge(digest("a"), 7) is Verdict.REDELIVERED
    assert Window.unpack(window.pack()).judge(digest("a"), 7) is Verdict.REDELIVERED


def test_an_overrun_window_is_the_same_whether_or_not_it_was_packed_in_between() -> None:
    one = Window()
    one.remember(digest("ahead"), 0, NOW + 2 * DAY)
    for number in range(1, CAPACITY + 1):
        one.remember(digest(str(number)), number, NOW)
    other = Window.unpack(one.pack())
    for window in (one, other):
        window.remember(digest("later"), 9_999, NOW + DAY + 5 * MINUTE)
    assert one.pack() == other.pack()


texts_of_ids = st.text(max_size=5)


class Reference:
    """The window as a plain dict: what the packed one must judge like, step by step."""

    def __init__(self) -> None:
        self.marks: dict[int, tuple[int, int]] = {}
        self.newest = 0

    def judge(self, mark: int, offset: int) -> Verdict:
        if mark not in self.marks:
            return Verdict.NEW
        same = self.marks[mark][0] == offset
        return Verdict.REDELIVERED if same else Verdict.DUPLICATE

    def remember(self, mark: int, offset: int, received_ms: int) -> bool:
        minute = received_ms // MINUTE
        self.marks[mark] = (offset, minute)
        if minute > self.newest:
            self.newest = minute
            for known, (_, at) in list(self.marks.items()):
                if at >= minute - WINDOW_MINUTES:
                    break
                del self.marks[known]
        if len(self.marks) <= CAPACITY:
            return False
        del self.marks[next(iter(self.marks))]
        self.newest = max(at for _, at in self.marks.values())
        return True


@given(
    st.integers(0, 2**32), st.sampled_from([20, 300, 1_500]), st.sampled_from([1, 10_000, 2**33])
)
def test_the_packed_window_judges_like_a_plain_one(seed: int, events: int, gap: int) -> None:
    draw = random.Random(seed)
    window, reference = Window(), Reference()
    offset, now = draw.randrange(2**36), NOW
    # Digests that begin or end alike, so that a search finds them across the borders of others.
    pool = [draw.choice([0, 1, 2**32, 2**64 - 1, 256, draw.getrandbits(64)]) for _ in range(events)]
    for mark in pool:
        offset += draw.randrange(-gap // 8, gap) or 1
        now += draw.randrange(-5 * MINUTE, draw.choice([3, 3, 3, 300]) * MINUTE)
        verdict = reference.judge(mark, offset)
        assert window.judge(mark, offset) is verdict
        if verdict is Verdict.NEW:
            assert window.remember(mark, offset, now) == reference.remember(mark, offset, now)
        if draw.random() < 0.02:
            window = Window.unpack(window.pack())
        seen = draw.choice(pool)
        known = reference.marks.get(seen, (offset, 0))[0]
        assert window.judge(seen, known) is reference.judge(seen, known)
    assert len(window) == len(reference.marks)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=8), st.lists(texts_of_ids, max_size=30))
def test_a_place_in_the_window_stands_for_its_tie(strange: list[int], event_ids: list[str]) -> None:
    window = Window()
    for event_id in dict.fromkeys(event_ids):
        window.remember(digest(event_id), 1, NOW)
    known = [digest(event_id) % 2**32 for event_id in event_ids]
    places = window.places([*known, *strange, -1, 2**32])
    assert [window.tie(place) for place in places[: len(known)]] == known
    assert all(
        not place or window.tie(place) == tie
        for tie, place in zip(strange, places[len(known) :], strict=False)
    )
    assert places[-2:] == [0, 0]


numbers = st.lists(
    st.one_of(st.integers(0, 20), st.integers(-5, 300), st.integers(-(2**63), 2**64 - 1))
)


@given(numbers)
def test_columns_give_back_what_went_in(values: list[int]) -> None:
    assert list(unpack_column(pack_column(values), len(values))) == values
    assert list(unpack_halves(*pack_halves(values)))[: len(values)] == values


def test_a_mark_takes_as_many_bytes_as_its_distances_need() -> None:
    sizes = []
    for gap in (1, 60_000, 2**20):
        window = Window()
        for number in range(200):
            window.remember(digest(str(number)), number * gap, NOW + number * MINUTE)
        sizes.append(len(window.pack()) - 200 * 8 - 199)
    assert [size // 199 for size in sizes] == [1, 2, 3]
