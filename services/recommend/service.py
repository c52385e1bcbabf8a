"""Answers one request: who asks for whom, one read of the store, the pure pipeline, the record.

Between the HTTP side (api.py) and the pure `pipeline`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from services.recommend.asking import Defaults, ask_of
from services.recommend.decision_ids import DecisionIds
from services.recommend.decision_log import DecisionLog
from services.recommend.experiment import arm_of
from services.recommend.features import as_rows
from services.recommend.knowledge import Choice, Knowledge, Moment
from services.recommend.metrics import RecommendMetrics
from services.recommend.pipeline import decide
from services.recommend.request import RecommendRequest
from services.recommend.settings import RecommendSettings
from services.recommend.situation import situate
from services.recommend.store import ProfileReader, Seen
from shared.auth import Principal
from shared.clock import Clock, real_now_ms
from shared.decisions import (
    Decision,
    ProfileSeen,
    Recommendation,
    as_encoded,
    as_encoded_offers,
    encode_answer,
    encode_decision,
)
from shared.errors import Unauthenticated
from shared.events import anonymous_key, customer_key
from shared.profile import View


class Named(NamedTuple):
    """Whom a request is for, as far as it was proved."""

    customer: str | None
    anonymous: str | None

    @property
    def identity(self) -> str | None:
        """The key of the profile to read."""
        if self.customer is not None:
            return customer_key(self.customer)
        return None if self.anonymous is None else anonymous_key(self.anonymous)


@dataclass(slots=True)
class Recommender:
    """All that answering needs; one a process."""

    settings: RecommendSettings
    clock: Clock
    knowledge: Knowledge
    reader: ProfileReader
    log: DecisionLog
    metrics: RecommendMetrics
    subject: Callable[[str], str]
    """KeyRing.subject: the customer that an identity token proves."""
    ids: DecisionIds = field(default_factory=lambda: DecisionIds(Random().getrandbits))
    """Ids name decisions and guard nothing, so a seed from the system is random enough."""
    defaults: Defaults = field(init=False)

    def __post_init__(self) -> None:
        self.defaults = self.settings.defaults()

    async def recommend(
        self, request: RecommendRequest, principal: Principal, token: str | None
    ) -> bytes:
        """The answer's JSON, always: what fails on the way moves the answer down the ladder."""
        # not the loop's own clock, which uvloop keeps in whole milliseconds
        started = time.perf_counter()
        deadline = started + self.settings.deadline_ms / 1_000

        def late() -> bool:
            if time.perf_counter() < deadline:
                return False
            self.metrics.skipped_source()
            return True

        named = self._named(request, principal, token)
        seen, visitor = await self._read(named)
        now, real_ms = self.clock.now_ms(), real_now_ms()
        view = seen.view if seen is not None else None
        situation = situate(request, view, visitor)
        moment = Moment(now, real_ms, self.ids.next(real_ms), late)
        arm = arm_of(
            named.identity or moment.decision_id, self.settings.salt, self.settings.random_share
        )
        placement = self.knowledge.stock.catalogue.placement(request.placement)
        ask = ask_of(request, request.context, placement, self.defaults)
        choice = decide(situation, self.knowledge, ask, arm, moment)
        age = None if seen is None or seen.at is None else max(0, real_ms - seen.at)
        answer = Recommendation(
            decision_id=moment.decision_id,
            arm=arm,
            model=self.knowledge.ranker.name,
            profile_age_ms=age,
            fallback=choice.fallback,
            consent_mode=situation.consent_mode,
            items=as_encoded_offers(choice.offers),
            filtered=choice.filtered,
            profile=_profile(view) if request.explain else None,
        )
        encoded = encode_answer(answer)
        # encoded at once: a heap of answers that wait would be walked by the garbage collector
        self.log.put(*_record(request, named, now, moment.decision_id, encoded, choice))
        self.metrics.answered(
            request.placement, choice.fallback, time.perf_counter() - started, age
        )
        self.metrics.gathered(choice.sources)
        return encoded

    def _named(self, request: RecommendRequest, principal: Principal, token: str | None) -> Named:
        """A browser key proves nothing about a customer: only a valid token does, and a claim
        without one is left aside, so no profile is read for it."""
        customer = request.customer
        if principal.kind == "browser":
            token = token or request.context.identity_token
            proved: str | None = None
            if token is not None:
                try:
                    proved = self.subject(token)
                except Unauthenticated:
                    self.metrics.refused("identity_token")
            customer = proved if customer is None or customer == proved else None
        return Named(customer, request.anonymous)

    async def _read(self, named: Named) -> tuple[Seen | None, View | None]:
        """The profile, and beside a customer's the anonymous view: one round trip for both."""
        if named.identity is None:
            return None, None
        profile = self.reader.read(named.identity)
        beside = None
        if named.customer is not None and named.anonymous is not None:
            beside = self.reader.read(anonymous_key(named.anonymous))
        answer = await profile
        visitor = None if beside is None else await beside
        return (
            answer if isinstance(answer, Seen) else None,
            visitor.view if isinstance(visitor, Seen) else None,
        )


def _profile(view: View | None) -> ProfileSeen | None:
    return None if view is None else ProfileSeen(events=view.events, clock=view.clock)


def _record(
    request: RecommendRequest,
    named: Named,
    now: int,
    decision_id: str,
    encoded: bytes,
    choice: Choice,
) -> tuple[bytes, bytes]:
    """The record's key, by which decision_lookup finds it, and its content. The identity token is
    no part of it."""
    context = request.context
    asked: dict[str, Any] = {"n": request.n}
    if context.country:
        asked["country"] = context.country
    if context.currency:
        asked["currency"] = context.currency
    if context.item:
        asked["item"] = context.item
    if context.cart:
        asked["cart"] = context.cart
    if request.session:
        asked["session"] = request.session
    decision = Decision(
        decision_id=decision_id,
        decided_at=now,
        placement=request.placement,
        answer=as_encoded(encoded),
        customer=named.customer,
        anonymous=named.anonymous,
        context=asked,
        feature_names=choice.feature_names,
        feature_values=as_rows(choice.features, len(choice.offers)),
        propensities=choice.propensities,
    )
    return decision_id.encode(), encode_decision(decision)
