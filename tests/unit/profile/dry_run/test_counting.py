"""What a dry run counts: known verdicts, known numbers."""

from zoneinfo import ZoneInfo

from services.profile.contact import Contact
from services.profile.dry_run.counting import Counting, Tally, total
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, NOW

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = 1_760_306_400_000
"""13 October 2025 in Berlin."""


def verdict(
    scenario: str,
    at: int,
    outcome: facts.Verdict = "send",
    reason: str = "allowed",
    attempt: int = 1,
    channel: str = "email",
) -> facts.MessageDecided:
    return facts.MessageDecided(
        event_id=f"{scenario}{at}{attempt}",
        occurred_at=at,
        received_at=at,
        trigger_id=f"{scenario}{at}",
        scenario=scenario,
        channel=channel,
        verdict=outcome,
        reason=reason,
        attempt=attempt,
    )


def counted(*verdicts: tuple[str, facts.MessageDecided], **contact: object) -> Tally:
    counting = Counting(BERLIN)
    for key, fact in verdicts:
        counting.decided(key, fact, Contact(**contact))  # type: ignore[arg-type]
    return counting.tally()


def test_moments_and_messages_count_by_the_shops_own_days() -> None:
    tally = counted(
        ("c:a", verdict("cart", MIDNIGHT - 1)),
        ("c:b", verdict("cart", MIDNIGHT)),
        ("c:c", verdict("cart", MIDNIGHT + HOUR, "suppress", "consent")),
    )

    assert tally.scenarios["cart"].days == {"2025-10-12": [1, 1], "2025-10-13": [2, 1]}


def test_a_held_moment_counts_once_and_its_message_on_the_day_it_goes() -> None:
    tally = counted(
        ("c:a", verdict("cart", MIDNIGHT - HOUR, "hold", "budget")),
        ("c:a", verdict("cart", MIDNIGHT, "hold", "quiet_hours", attempt=2)),
        ("c:a", verdict("cart", MIDNIGHT + 8 * HOUR, attempt=3)),
    )

    cart = tally.scenarios["cart"]
    assert cart.days == {"2025-10-12": [1, 0], "2025-10-13": [0, 1]}
    assert (cart.customers, cart.reached) == (1, 1)
    assert cart.held == {"budget": 1, "quiet_hours": 1}
    assert cart.suppressed == {}
    assert cart.channels == {"email": 1}
    assert tally.fatigue.at_budget == 1


def test_moments_count_by_segment_and_stage() -> None:
    tally = counted(
        ("c:a", verdict("cart", NOW)),
        ("c:a", verdict("cart", NOW + DAY, "suppress", "cooldown")),
        segments={"vip": NOW, "cyclists": NOW},
        stage="loyal",
    )

    assert tally.scenarios["cart"].segments == {"vip": 2, "cyclists": 2}
    assert tally.scenarios["cart"].stages == {"loyal": 2}
    assert tally.scenarios["cart"].suppressed == {"cooldown": 1}


def test_overlap_counts_each_scenarios_moments_near_one_of_the_others() -> None:
    tally = counted(
        ("c:a", verdict("cart", NOW)),
        ("c:a", verdict("cart", NOW + 3 * HOUR)),
        ("c:a", verdict("browse", NOW + DAY)),
        ("c:a", verdict("birthday", NOW + 8 * DAY)),
        ("c:b", verdict("browse", NOW)),
    )

    assert tally.overlap["cart"]["browse"] == [2, 2]
    assert tally.overlap["browse"]["cart"] == [1, 1]
    assert tally.overlap["birthday"] == {"cart": [0, 0], "browse": [0, 1]}


def test_fatigue_counts_messages_by_customer_and_the_fullest_week() -> None:
    tally = counted(
        *[("c:a", verdict("cart", NOW + day * DAY)) for day in (0, 1, 6, 7, 8)],
        ("c:b", verdict("cart", NOW)),
        ("c:c", verdict("cart", NOW, "suppress", "consent")),
    )

    fatigue = tally.fatigue
    assert (fatigue.sent, fatigue.reached, fatigue.with_moments) == (6, 2, 3)
    assert fatigue.most_in_week == 3
    assert fatigue.at_budget == 0


def test_moments_passed_over_in_silence_are_counted_by_reason() -> None:
    counting = Counting(BERLIN)
    counting.passed_over("cart", "recheck", 2)
    counting.passed_over("cart", "too_late")

    assert counting.tally().scenarios["cart"].passed_over == {"recheck": 2, "too_late": 1}


def test_partitions_add_up_to_what_one_would_have_counted() -> None:
    verdicts = [
        ("c:a", verdict("cart", NOW)),
        ("c:a", verdict("browse", NOW + HOUR, "hold", "outbid")),
        ("c:b", verdict("cart", NOW + DAY, channel="push")),
        ("c:b", verdict("birthday", NOW + 2 * DAY, "suppress", "budget")),
    ]

    parts = [counted(*verdicts[:2]), counted(*verdicts[2:])]

    assert total(parts) == counted(*verdicts)
    assert total(reversed(parts)) == total(parts)
