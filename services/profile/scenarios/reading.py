"""scenarios.yaml → Book, or all that is wrong with it. Pure: bytes in, no file is touched.

1. YAML → nodes with lines (`nodes`). 2. Fields → plain values (`declared`). 3. What only the whole
tells: names, purposes, segments and stages that expressions speak of (here).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from services.profile.arbiter.policy import (
    DAY_MINUTES,
    MINUTE_MS,
    Basis,
    Budget,
    Holdout,
    Policy,
    QuietHours,
)
from services.profile.consent import ASKS_CONSENT
from services.profile.scenarios.book import Ask, Book, OnFact, OnItem, OnTimer, Scenario, Segment
from services.profile.scenarios.declared import (
    FILE,
    FileText,
    HoldoutText,
    PolicyText,
    PurposeText,
    QuietText,
    RuleText,
    ScenarioText,
)
from services.profile.scenarios.expressions import Expression, Failed, compiled, nobody
from services.profile.scenarios.nodes import composed
from services.profile.scenarios.problems import BookRefused, Place, Problem
from services.profile.scenarios.shapes import Written
from services.profile.scenarios.variables import Scope
from shared.advice import did_you_mean

STAGES_OWN: Final = frozenset(["profile.stage", "profile.days_in_stage"])
SEGMENTS_OWN: Final = STAGES_OWN | {"profile.segments"}
"""What a rule must not ask of, since it answers it: it would change by being asked."""
KINDS: Final = frozenset(["nps", "csat", "ces"])
PURPOSES: Final = {
    "marketing": PurposeText(lines={}, basis="consent"),
    "service": PurposeText(lines={}, basis="contract", transactional=True),
}


def read(data: bytes, file: str = "scenarios.yaml", failed: Failed = nobody) -> Book:
    """The book. file: how messages call it; failed: told of expressions that fail as they run.

    Raises BookRefused, which holds all that is wrong.
    """
    problems: list[Problem] = []
    place = Place(problems)
    root = composed(data, place)
    text = None if root is None else FILE.read(root, place)
    book = None if text is None else _Reader(text, place, failed).book(data)
    if book is None or problems:
        raise BookRefused(file, problems)
    return book


class _Reader:
    """Makes the book of what stands in the file, noting what does not go together."""

    def __init__(self, text: FileText, place: Place, failed: Failed) -> None:
        self.text = text
        self.place = place
        self.failed = failed
        self.policy_text = text.policy or PolicyText(lines={})
        self.purposes = self.policy_text.purposes or PURPOSES
        self.domains = {
            "segments": frozenset(rule.name for rule in text.segments),
            "stages": frozenset(rule.name for rule in text.stages),
            "kinds": KINDS,
        }

    def book(self, data: bytes) -> Book:
        text = self.text
        self.once("segments", text.segments)
        self.once("stages", text.stages)
        self.once("scenarios", text.scenarios)
        segments = [self.rule(each, SEGMENTS_OWN) for each in text.segments]
        stages = [self.rule(each, STAGES_OWN) for each in text.stages]
        found = [self.scenario(each) for each in text.scenarios]
        scenarios = tuple(each for each in found if each is not None)
        facts = dict.fromkeys(each.on.fact for each in scenarios if isinstance(each.on, OnFact))
        return Book(
            version=text.version or hashlib.sha256(data).hexdigest()[:12],
            policy=self.policy(),
            scenarios=scenarios,
            by_fact={
                fact: tuple(each for each in scenarios if each.on == OnFact(fact=fact))
                for fact in facts
            },
            by_name={each.name: each for each in scenarios},
            on_items=tuple(each for each in scenarios if isinstance(each.on, OnItem)),
            on_timers=tuple(each for each in scenarios if isinstance(each.on, OnTimer)),
            segments=tuple(each for each in segments if each is not None),
            stages=tuple(each for each in stages if each is not None),
        )

    def once(self, group: str, entries: Sequence[ScenarioText | RuleText]) -> None:
        """Names that are taken already."""
        lines: dict[str, int] = {}
        for entry in entries:
            if not entry.name:
                continue
            place, line = self.place.into(f"{group}.{entry.name}.name"), entry.lines["name"]
            if entry.name in lines:
                what = f"{entry.name} is there twice, first in line {lines[entry.name]}"
                place.refuse(line, what, "give one of them another name")
            lines.setdefault(entry.name, line)

    def expression(
        self, written: Written | None, wanted: Literal["flag", "number"], scope: Scope
    ) -> Expression | None:
        if written is None or self.place.enough:
            return None
        found = compiled(written.text, wanted, scope.find, self.domains, self.failed)
        if isinstance(found, Expression):
            return found
        for wrong in found:
            line, excerpt = written.line_at(wrong.at), written.text[wrong.at :][:24].split("\n")[0]
            near = f" (at `{excerpt}`)" if wrong.at else ""
            self.place.problems.append(
                Problem(line, written.where, f"{wrong.what}{near}", wrong.fix)
            )
        return None

    def rule(self, rule: RuleText, own: frozenset[str]) -> Segment | None:
        when = self.expression(rule.when, "flag", Scope(own=own))
        if when is None:
            return None
        return Segment(name=rule.name, when=when, reassess_ms=tuple(sorted(rule.reassess)))

    def scenario(self, text: ScenarioText) -> Scenario | None:
        place = self.place.into(f"scenarios.{text.name}")
        if text.purpose and text.purpose not in self.purposes:
            known = ", ".join(self.purposes)
            fix = did_you_mean(text.purpose, self.purposes, f"there are {known}")
            what = f"there is no purpose {text.purpose}"
            place.into("purpose").refuse(text.lines["purpose"], what, fix)
        self.heard(text, place)
        later = Scope(text.on, anything=text.on is None)
        when = self.expression(text.when, "flag", later._replace(event=True))
        recheck = self.expression(text.recheck, "flag", later)
        value = self.expression(text.value, "number", later)
        if isinstance(text.on, OnTimer) and when is not None:
            # A timer is asked once, when it is due.
            asked = [when.text, *([recheck.text] if recheck is not None else [])]
            joined = " && ".join(f"({part}\n)" for part in asked)
            begins = Written(joined, text.lines["when"], f"{place.where}.when", False)
            when, recheck = None, self.expression(begins, "flag", later)
        payload = text.payload
        if text.on is None:
            return None
        return Scenario(
            name=text.name,
            on=text.on,
            purpose=text.purpose,
            channels=tuple(text.channels),
            when=when,
            recheck=recheck,
            value=value,
            after_ms=text.after,
            life_ms=text.life,
            cooldown_ms=text.cooldown,
            tags=frozenset(text.tags),
            on_conflict=text.on_conflict,
            payload=Ask(placement=payload.placement, n=int(payload.n)) if payload else None,
            style=text.style,
            priority=int(text.priority),
        )

    def heard(self, text: ScenarioText, place: Place) -> None:
        """Refuses a timer whose time of day lies in quiet hours that outlast its life."""
        quiet = self.policy_text.quiet_hours
        at = text.on.at_minute if isinstance(text.on, OnTimer) else -1
        if quiet is None or at < 0:
            return
        begun = (at - quiet.begin) % DAY_MINUTES
        rest = (quiet.end - quiet.begin) % DAY_MINUTES - begun
        silent = not quiet.channels or set(text.channels) <= set(quiet.channels)
        if silent and rest * MINUTE_MS > text.life:
            what = "its time of day lies in the quiet hours, and its life ends before them"
            fix = "choose another time `at`, or a longer life"
            place.into("on").refuse(text.lines.get("on", 1), what, fix)

    def policy(self) -> Policy:
        text = self.policy_text
        salt = text.holdout.salt if text.holdout else ""
        return Policy(
            budgets=tuple(
                Budget(
                    messages=int(budget.messages),
                    window_ms=budget.window,
                    channel=budget.channel,
                    tag=budget.tag,
                )
                for budget in text.budgets
            ),
            quiet=self.quiet(text.quiet_hours),
            bases={name: self.basis(name, purpose) for name, purpose in self.purposes.items()},
            holdout=_holdout(text.holdout),
            scenario_holdouts={
                each.name: Holdout(share=each.holdout, salt=salt)
                for each in self.text.scenarios
                if each.holdout
            },
            transactional=frozenset(_transactional(self.purposes.items())),
            zone=self.text.zone,
            annoyance=int(text.annoyance),
            lost_customer=int(text.lost_customer),
        )

    def quiet(self, text: QuietText | None) -> QuietHours | None:
        if text is None:
            return None
        if text.begin == text.end:
            place = self.place.into("policy.quiet_hours.to")
            what = "quiet hours of 24 h: nothing could ever be said"
            place.refuse(text.lines["to"], what, "let them end before they begin again")
            return None
        return QuietHours(begin=text.begin, end=text.end, channels=frozenset(text.channels))

    def basis(self, name: str, text: PurposeText) -> Basis:
        consent = text.basis in ASKS_CONSENT
        if text.opt_in and not consent:
            place = self.place.into(f"policy.purposes.{name}.opt_in")
            what = f"a {text.basis} asks for no consent"
            place.refuse(text.lines["opt_in"], what, "remove opt_in, or make the basis consent")
        return Basis(name=text.basis, consent=consent, opt_in=text.opt_in)


def _holdout(text: HoldoutText | None) -> Holdout:
    return Holdout(share=text.share, salt=text.salt) if text else Holdout()


def _transactional(purposes: Iterable[tuple[str, PurposeText]]) -> list[str]:
    return [name for name, purpose in purposes if purpose.transactional]
