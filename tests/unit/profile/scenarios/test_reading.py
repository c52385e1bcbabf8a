"""scenarios.yaml → Book: what it says once read, and how all that is wrong with it is told."""

import pytest

from services.profile.arbiter.policy import DAY_MS, HOUR_MS, Basis, Budget, Holdout, QuietHours
from services.profile.scenarios.book import Ask, OnFact, OnItem, OnTimer
from services.profile.scenarios.declared import MOST_ITEMS
from services.profile.scenarios.problems import BookRefused
from services.profile.scenarios.reading import read
from shared.topics import CHANNELS, triggers
from tests.unit.profile.scenarios.files import LEAST, book, refused, with_line

WHOLE = """
version: spring-1
zone: Europe/Berlin
policy:
  budgets:
    - {messages: 1, window: 24h}
    - {messages: 1, window: 14d, tag: discount}
    - {messages: 2, window: 1w, channel: sms}
  quiet_hours: {from: "21:00", to: 08:00, channels: [email, push]}
  purposes:
    marketing: {basis: consent, opt_in: true}
    invoice: {basis: contract, transactional: true}
    news: {basis: legitimate_interest}
  holdout: {share: 0.05, salt: "2026"}
  annoyance: 20
  lost_customer: 2000
segments:
  - {name: vip, when: profile.orders >= 5, reassess: [90d, 30d]}
stages:
  - {name: lost, when: "profile.days_since_order > 365"}
scenarios:
  - name: cart_abandoned
    on: cart_added
    when: >
      profile.cart_items > 0
      && 'vip' in profile.segments
    after: 1h
    recheck: profile.cart_in_stock
    cooldown: 24h
    life: 2d
    purpose: marketing
    channels: [email, push]
    tags: [reminder]
    value: 0.05 * profile.cart_value
    on_conflict: drop
    holdout: 0.1
    style: reminder
    priority: 70
    payload: {placement: cart_reminder, n: 4}
  - {name: price_drop, on: {item_changed: [wished, viewed]}, purpose: news, channels: [email]}
  - {name: restocked, on: item_changed, purpose: news, channels: [email]}
  - {name: birthday, on: {timer: birthday, days: 7, at: "09:30"}, purpose: news, channels: [email]}
  - {name: leaving, on: {timer: churn_risk, below: 0.3}, purpose: news, channels: [email]}
  - {name: asleep, on: {timer: inactive, after: 30d}, purpose: invoice, channels: [email]}
"""


def test_a_whole_file_is_read_as_it_stands() -> None:
    found = book(WHOLE)
    policy, first = found.policy, found.scenarios[0]
    assert (found.version, policy.zone) == ("spring-1", "Europe/Berlin")
    assert policy.budgets == (
        Budget(messages=1, window_ms=DAY_MS),
        Budget(messages=1, window_ms=14 * DAY_MS, tag="discount"),
        Budget(messages=2, window_ms=7 * DAY_MS, channel="sms"),
    )
    assert policy.quiet == QuietHours(
        begin=21 * 60, end=8 * 60, channels=frozenset(["email", "push"])
    )
    assert policy.bases == {
        "marketing": Basis(name="consent", consent=True, opt_in=True),
        "invoice": Basis(name="contract", consent=False),
        "news": Basis(name="legitimate_interest", consent=True),
    }
    assert policy.transactional == {"invoice"}
    assert policy.holdout == Holdout(share=0.05, salt="2026")
    assert policy.scenario_holdouts == {"cart_abandoned": Holdout(share=0.1, salt="2026")}
    assert (policy.annoyance, policy.lost_customer) == (20, 2000)
    assert (first.after_ms, first.life_ms, first.cooldown_ms) == (HOUR_MS, 2 * DAY_MS, DAY_MS)
    assert (first.channels, first.tags) == (("email", "push"), {"reminder"})
    assert (first.on_conflict, first.style, first.priority) == ("drop", "reminder", 70)
    assert first.payload == Ask(placement="cart_reminder", n=4)
    assert first.when is not None
    assert first.when.variables == {"profile.cart_items", "profile.segments"}
    assert first.value is not None
    assert first.value.text == "0.05 * profile.cart_value"
    assert (found.segments[0].name, found.segments[0].reassess_ms) == (
        "vip",
        (30 * DAY_MS, 90 * DAY_MS),
    )
    assert [stage.name for stage in found.stages] == ["lost"]


def test_scenarios_are_found_by_what_begins_them() -> None:
    found = book(WHOLE)
    assert found.by_fact == {"cart_added": (found.scenarios[0],)}
    assert [each.on for each in found.on_items] == [
        OnItem(interest=frozenset(["viewed", "wished"])),
        OnItem(interest=frozenset(["viewed", "carted", "wished"])),
    ]
    assert [each.on for each in found.on_timers] == [
        OnTimer(timer="birthday", days=7, at_minute=9 * 60 + 30),
        OnTimer(timer="churn_risk", below=0.3, at_minute=600),
        OnTimer(timer="inactive", after_ms=30 * DAY_MS, at_minute=-1),
    ]
    assert found.by_name["restocked"] is found.scenarios[2]


def test_what_is_left_out_has_a_default() -> None:
    found = book(LEAST)
    (only,) = found.scenarios
    assert only.on == OnFact(fact="cart_added")
    assert (only.life_ms, only.when, only.value, only.payload) == (DAY_MS, None, None, None)
    assert (found.policy.zone, found.policy.budgets, found.policy.quiet) == ("UTC", (), None)
    assert set(found.policy.bases) == {"marketing", "service"}
    assert found.policy.transactional == {"service"}


def test_a_version_that_is_not_declared_follows_from_the_content() -> None:
    assert book(LEAST).version == book(LEAST).version != book(LEAST + "# another\n").version
    assert len(book(LEAST).version) == 12


def test_all_that_is_wrong_is_told_at_once_by_line() -> None:
    text = WHOLE.replace("zone: Europe/Berlin", "zone: Mars/Base").replace(
        "cart_items > 0", "cart_itms > 0"
    )
    text = text.replace("on: cart_added", "on: cart_addd").replace(
        "[email, push]\n    tags", "[mail]\n    tags"
    )
    with pytest.raises(BookRefused) as caught:
        read(text.encode(), "spring.yaml")
    assert [problem.line for problem in caught.value.problems] == [3, 23, 25, 32]
    assert str(caught.value) == (
        "spring.yaml:3: zone: there is no time zone Mars/Base; "
        f"{caught.value.problems[0].fix} (and 3 more)"
    )
    assert all(line.startswith("spring.yaml:") for line in caught.value.lines)


def test_a_condition_over_lines_is_told_by_its_own_line() -> None:
    text = with_line("when: |\n      profile.orders > 1 &&\n      profile.ordrs > 2\n")
    (problem,) = refused(text)
    assert problem.line == 9


def test_names_are_taken_once() -> None:
    again = LEAST.removeprefix("\nscenarios:\n")
    (problem,) = refused(LEAST + again)
    assert (problem.line, problem.where) == (7, "scenarios.one.name")
    assert problem.what == "one is there twice, first in line 3"


def test_a_timer_is_asked_once_when_it_is_due() -> None:
    rest = "purpose: care, channels: [email]}"
    text = f"""
    policy: {{purposes: {{care: {{basis: consent}}}}}}
    scenarios:
      - {{name: a, on: {{timer: birthday}}, when: profile.orders > 1, {rest}
      - {{name: b, on: {{timer: birthday}}, when: profile.orders > 1 || true,
         recheck: profile.age > 17, {rest}
    """
    first, second = book(text).scenarios
    assert (first.when, second.when) == (None, None)
    assert first.recheck is not None
    assert first.recheck.text == "(profile.orders > 1\n)"
    assert second.recheck is not None
    assert second.recheck.text == "(profile.orders > 1 || true\n) && (profile.age > 17\n)"
    (problem,) = refused(
        LEAST.replace("cart_added", "{timer: birthday}") + "    when: item.price > 1\n"
    )
    assert problem.where == "scenarios.one.when"


def test_the_largest_payload_fits_into_the_smallest_topic() -> None:
    # An item's id has 128 characters, and the worst of them take six bytes in JSON.
    room = min(triggers(channel).max_message_bytes for channel in CHANNELS)
    assert room / 4 > MOST_ITEMS * (128 * 6 + 3)


@pytest.mark.parametrize(
    ("at", "more", "heard"),
    [
        ("03:00", "", True),
        ("03:00", "life: 5h", True),
        ("03:00", "life: 4h", False),
        ("22:00", "life: 9h", False),
        ("08:00", "life: 1h", True),
        ("20:59", "life: 1m", True),
        ("21:00", "life: 1m", False),
    ],
)
def test_a_timer_that_could_only_speak_at_night_is_refused(at: str, more: str, heard: bool) -> None:
    policy = "policy: {quiet_hours: {from: '21:00', to: '08:00', channels: [email, push]}}"
    text = policy + with_line(more).replace("cart_added", f"{{timer: birthday, at: '{at}'}}")
    if heard:
        assert read(text.encode()).by_name["one"]
        return
    (problem,) = refused(text)
    assert (problem.line, problem.where) == (4, "scenarios.one.on")
    assert "its life ends before" in problem.what
    # What may speak at night does.
    assert read(text.replace("[email]", "[email, onsite]").encode())
    # Transactional messages wait for the morning as all others do.
    assert refused(text.replace("marketing", "service"))


def test_a_file_full_of_problems_is_told_in_bounds() -> None:
    rules = " && ".join(f"profile.ordr{n} > 1" for n in range(80))
    text = "scenarios:\n" + "".join(
        f"  - {{name: s{n}, on: cart_added, purpose: marketing, channels: [email], "
        f"when: {rules}}}\n"
        for n in range(3)
    )
    with pytest.raises(BookRefused) as caught:
        read(text.encode())
    assert len(caught.value.lines) == 101
    assert caught.value.lines[-1].endswith("more; mend these first")
    with pytest.raises(BookRefused) as caught:
        read(f"zone: {'x' * 500_000}{LEAST}".encode())
    assert len(caught.value.lines[0]) < 600
    with pytest.raises(BookRefused) as caught:
        read(LEAST.replace("cart_added", '"a\\e[2J\\nb"').encode())
    assert caught.value.lines[0].isprintable()
