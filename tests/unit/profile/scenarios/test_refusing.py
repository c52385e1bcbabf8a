"""scenarios.yaml with one thing wrong: each is told with its place, its line and a fix."""

from itertools import pairwise

import pytest

from services.profile.scenarios.nodes import MOST_BYTES
from tests.unit.profile.scenarios.files import LEAST, refused, with_line

LOL = "a: &a [lol, lol]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("line", "where", "what", "fix"),
    [
        ("chanels: [email]", "", "there is no field chanels", "did you mean channels?"),
        ("unheard: 1", "", "there is no field unheard", "there are name, on, when"),
        ("name: two", ".name", "is there twice", "leave one out"),
        ("after: soon", ".after", "`soon` is no time span", "such as 30m, 24h or 7d"),
        ("after: -1h", ".after", "`-1h` is no time span", "whole number with s, m, h, d or w"),
        ("after: 1.5h", ".after", "`1.5h` is no time span", "whole number"),
        ("after: 24", ".after", "`24` is no time span", "such as 30m"),
        ("after: [1h]", ".after", "is a list, not a time span", "write a time span"),
        ("after: {hours: 1}", ".after", "is a mapping, not a time span", "write a time span"),
        ("after:", ".after", "is empty", "or remove the field"),
        ("after: 2000d", ".after", "2000d is longer than 365d", "write 365d"),
        ("life: 0s", ".life", "0s is shorter than 1m, so nothing could be said", "write 1m"),
        ("life: 91d", ".life", "91d is longer than 90d", "write 90d"),
        ("cooldown: never", ".cooldown", "`never` is no time span", "such as"),
        ("tags: reminder", ".tags", "is not a list", "write it as [reminder]"),
        ("tags:", ".tags", "is not a list", "write it as [a, b]"),
        ("tags: [a, b, a]", ".tags", "a is there twice", "leave one out"),
        ("tags: [Reminder!]", ".tags.1", "`Reminder!` is not a name", "write a name such as"),
        ("after: ٣h", ".after", "`٣h` is no time span", "such as 30m"),
        ("after: 1h30m", ".after", "`1h30m` is no time span", "such as 30m"),
        ("after: 2:30", ".after", "`2:30` is no time span", "such as 30m"),
        ("cooldown: 0", ".cooldown", "`0` is no time span", "such as 30m"),
        ("<<: {after: 1h}", "", "there is no field <<", "there are name, on"),
        ("true: cart_added", "", "there is no field true", "there are name, on"),
        ("priority: 1e2", ".priority", "`1e2` is not a whole number", "write 100"),
        ("priority: 0x10", ".priority", "`0x10` is not a whole number", "write a whole number"),
        ("holdout: 1:30", ".holdout", "`1:30` is not a number", "write a number"),
        ("payload: {placement: a, n: 4.0}", ".payload.n", "`4.0` is not a whole", "write 4"),
        ("value: 1_000", ".value", "the name `_000` was not expected", ""),
        ("value: 12:30", ".value", "the sign `:` was not expected", ""),
        ("when: yes", ".when", "there is no variable yes", "write true"),
        ("when: now > 1", ".when", "there is no variable now", "times are numbers"),
        ("when: timestamp('2026') > 1", ".when", "no function timestamp()", "times are numbers"),
        ("when: has(profile.nps)", ".when", "no function has()", "not known is never true"),
        ("when: int(profile.nps) > 1", ".when", "no function int()", "all numbers are alike"),
        ("when: profile.orders % 2 == 0", ".when", "no remainder", "in [10, 20, 30]"),
        ("when: profile.orders ≥ 5", ".when", "`≥` means nothing", "write `>=`"),
        ("when: profile.country == “DE”", ".when", "`“` means nothing", 'write `"`'),
        ("when: customer.orders > 1", ".when", "customer.orders", "mean profile.orders?"),
        ("when: orders > 1", ".when", "no variable orders", "did you mean profile.orders?"),
        ("on_conflict: wait", ".on_conflict", "there is no rule wait", "there are hold, drop"),
        ("holdout: 1", ".holdout", "1 is too large: a holdout of all sends nothing", "0.9"),
        ("holdout: -0.1", ".holdout", "-0.1 is too small", "write 0 or more"),
        ("holdout: .nan", ".holdout", ".nan", "write"),
        ('holdout: "0.1"', ".holdout", "`0.1` is not a number", "write it without quotes"),
        ("priority: 1.5", ".priority", "`1.5` is not a whole number", "write a"),
        ("priority: 101", ".priority", "101 is too large", "write 100 or less"),
        ("payload: home", ".payload", "is not a mapping", "write its fields"),
        ("payload: {placement: home}", ".payload", "n is missing", "add it: how many"),
        ("payload: {placement: home, n: 101}", ".payload.n", "101 is too large", "100 or less"),
        ("payload: {placement: home, n: 0}", ".payload.n", "0 is too small", "1 or more"),
        ("payload: {placement: a b, n: 1}", ".payload.placement", "`a b` is not a plac", "such as"),
        ("when: profile.order > 1", ".when", "no variable profile.order", "profile.orders?"),
        ("when: profile.orders >", ".when", "it ends too early (at ``)", "add a variable"),
        ("when: profile.orders", ".when", "a number where true or false", "compare it"),
        ("value: profile.country", ".value", "a text where a number is needed", "use a number"),
        ("recheck: event.price > 5", ".recheck", "the event is long past", "ask it in `when`"),
        ("value: event.price", ".value", "the event is long past", "ask it in `when`"),
        ("when: item.drop > 5", ".when", "item.drop is not known here", "`on: item_changed`"),
        ("when: \"'vip' in profile.segments\"", ".when", "`vip` is not among", "declare it under"),
        ("style: a b", ".style", "`a b` is not a word", "write a word"),
    ],
)
def test_a_wrong_field_is_told_with_its_line_and_a_fix(
    line: str, where: str, what: str, fix: str
) -> None:
    (problem,) = refused(with_line(line))
    assert (problem.line, problem.where) == (7, f"scenarios.one{where}")
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("on", "where", "what", "fix"),
    [
        ("cart_aded", "", "there is no fact cart_aded", "did you mean cart_added?"),
        ("erasure_requested", "", "there is no fact erasure_requested", ""),
        ("profile_absorbed", "", "there is no fact profile_absorbed", ""),
        ("birthday", "", "birthday is a timer", "write {timer: birthday}"),
        ("{fact: cart_added}", "", "neither a fact, item_changed nor a timer", "write a fact"),
        ("[cart_added]", "", "one thing begins a scenario", "write a scenario for each"),
        ("{item_changed: [bought]}", ".item_changed.1", "no interest bought", "there are viewed"),
        ("{item_changed: []}", ".item_changed", "has 0 entries", "add some"),
        ("{timer: birthdays}", ".timer", "there is no timer birthdays", "did you mean birthday?"),
        ("{timer: birthday, day: 7}", "", "the timer birthday has no day", "did you mean days?"),
        ("{timer: birthday, days: 400}", ".days", "400 is too large", "366 or less"),
        ("{timer: birthday, days: 7, below: 0.5}", "", "birthday has no below", "it has days, at"),
        ("{timer: birthday, days: 3.5}", ".days", "`3.5` is not a whole", "write a whole number"),
        ("true", "", "there is no fact true", ""),
        ("{timer: birthday, at: '24:00'}", ".at", "`24:00` is no time of day", '"21:00"'),
        ("{timer: churn_risk}", "", "the timer churn_risk needs below", "add below: 0.5"),
        ("{timer: churn_risk, below: 1}", ".below", "1 is too large", "0.999 or less"),
        ("{timer: inactive}", "", "the timer inactive needs after", "add after: 30d"),
        ("{timer: inactive, after: 10m}", ".after", "10m is shorter than 1h", "write 1h"),
    ],
)
def test_a_wrong_beginning_is_told(on: str, where: str, what: str, fix: str) -> None:
    (problem,) = refused(LEAST.replace("cart_added", on))
    assert (problem.line, problem.where) == (4, f"scenarios.one.on{where}")
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("head", "where", "what", "fix"),
    [
        ("zone: Europe/Berln", "zone", "no time zone Europe/Berln", "did you mean Europe/Berlin?"),
        ('version: "a\\nb"', "version", "is not a text in one line", "write a text"),
        ("version: ''", "version", "is not a text in one line", "write a text"),
        ("zone: NO", "zone", "there is no time zone NO", "IANA"),
        ("zone: ../../etc/passwd", "zone", "no time zone ../../etc/passwd", "IANA"),
        ("policy: {annoyance: 12:30}", "policy.annoyance", "is not a number", "write a number"),
        ("policy: {quiet_hours: {from: 1260, to: '08:00'}}", "policy.quiet_hours.from", "1260", ""),
        ("zone: CETX1", "zone", "there is no time zone CETX1", ""),
        (
            "policy: {quiet_hours: {from: '21:00', to: '21:00'}}",
            "policy.quiet_hours.to",
            "24 h",
            "",
        ),
        ("policy: {quiet_hours: {from: '21:00'}}", "policy.quiet_hours", "to is missing", "add it"),
        ("policy: {quiet_hours: {from: 9pm, to: '08:00'}}", "policy.quiet_hours.from", "9pm", ""),
        ("policy: {budgets: [{messages: 1}]}", "policy.budgets.1", "window is missing", "add it"),
        (
            "policy: {budgets: [{messages: 1, window: 91d}]}",
            "policy.budgets.1.window",
            "91d is longer than 90d, as far back as messages are remembered",
            "write 90d",
        ),
        ("policy: {budgets: [{messages: 1, window: 0s}]}", "policy.budgets.1.window", "1s", "1s"),
        (
            "policy: {budgets: [{messages: 65, window: 1d}]}",
            "policy.budgets.1.messages",
            "65",
            "64",
        ),
        ("policy: {budgets: [{messages: 0, window: 1d}]}", "policy.budgets.1.messages", "0", "1"),
        ("policy: {purposes: {Ads: {basis: consent}}}", "policy.purposes", "`Ads` is no name", ""),
        (
            "policy: {purposes: {marketing: {basis: consnt}}}",
            "policy.purposes.marketing.basis",
            "",
            "",
        ),
        (
            "policy: {purposes: {marketing: {basis: contract, opt_in: true}}}",
            "policy.purposes.marketing.opt_in",
            "a contract asks for no consent",
            "remove opt_in",
        ),
        (
            "policy: {purposes: {marketing: {basis: consent, opt_in: maybe}}}",
            "policy.purposes.marketing.opt_in",
            "`maybe` is neither true nor false",
            "write true or false",
        ),
        ("policy: {holdout: {salt: x}}", "policy.holdout", "share is missing", "add it"),
        (
            "policy: {purposes: {ads: {basis: consent}}}",
            "scenarios.one.purpose",
            "marketing",
            "ads",
        ),
        ("segments: [{name: vip}]", "segments.vip", "when is missing", "who belongs to it"),
        ("segments: [{when: 'true'}]", "segments.1", "name is missing", "add it"),
        (
            "stages: [{name: a, when: 'true'}, {name: a, when: 'true'}]",
            "stages.a.name",
            "twice",
            "",
        ),
        ("stages: [{name: a, when: item.price > 1}]", "stages.a.when", "not about one item", ""),
        ("scenarios: []", "scenarios", "is there twice", "leave one out"),
    ],
)
def test_what_is_wrong_outside_of_scenarios_is_told(
    head: str, where: str, what: str, fix: str
) -> None:
    (problem,) = refused(f"{head}{LEAST}")
    assert problem.line == (5 if where.startswith("scenarios.one") else problem.line)
    assert problem.where == where
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"", 1, "the file is empty"),
        (b"# nothing\n", 1, "the file is empty"),
        (b"[]", 1, "is not a mapping"),
        (b"version: 1\n", 1, "scenarios is missing"),
        (b"a: 1\nb: [1\nc: 2\n", 3, "YAML cannot be read"),
        (b"a: 1\n\tb: 2\n", 2, "YAML cannot be read"),
        (b"a: 1\n---\nb: 2\n", 2, "YAML cannot be read"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: \x00\n", 1, "a control character"),
        ("a: 1\r\nb: Zoë\r\nc: \u0007\r\n".encode(), 3, "a control character"),
        ("a: Zoë\n".encode("latin-1"), 1, "not UTF-8"),
        (LEAST.encode("utf-16"), 1, "not UTF-8"),
        (LOL.encode(), 1, "anchors and aliases"),
        (b"a: 1\n<<: *b\n", 2, "anchors and aliases"),
        (b"a: 1\n" + b"[" * 200_000, 2, "YAML cannot be read"),
        (b"a: " + b"[" * 200_000, 1, "too deeply nested"),
        (b"? [a, b]\n: 1\nscenarios: []\n", 1, "the name of a field is a text"),
        (b"a: 1\nb: &x [1]\nc: *x\n", 2, "anchors and aliases"),
        (b"a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tags are not read"),
        (b"a: 1\nb: !profile.cart_in_stock\n", 2, "takes !profile.cart_in_stock for a tag"),
        (b"a: " + b"[" * 30 + b"]" * 30, 1, "too deeply nested"),
        (b"a:\n" + b"- 1\n" * 60_000, 50_000, "too many"),
        (b"#" * (MOST_BYTES + 1), 1, "larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_yaml_for_a_book_is_refused_whole(data: bytes, line: int, what: str) -> None:
    (problem,) = refused(data)
    assert what in problem.what
    assert abs(problem.line - line) <= (2 if line > 10 else 0)
