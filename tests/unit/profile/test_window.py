"""The event-id window: exact within its bounds, and it says when it ran over."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.clock_skew import LATEST
from services.profile.window import CAPACITY, Verdict, Window, digest
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
