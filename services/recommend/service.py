"""Answers one request: who asks for whom, one read of the store, the pure pipeline, the record.

Between the HTTP side (api.py) and the pure `pipeline`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeAlias

from services.recommend.answers import encode, finished
from services.recommend.asking import Ask, Defaults, ask_of
from services.recommend.decision_ids import DecisionIds
from services.recommend.decision_log import DecisionLog
from services.recommend.decision_records import record_of
from services.recommend.experiment import arm_of
from services.recommend.filters import FilterMasks, rules_of, unknown_fields
from services.recommend.knowledge import Choice, Knowledge, Moment
from services.recommend.listing_requests import Validated
from services.recommend.metrics import RecommendMetrics
from services.recommend.pipeline import decide
from services.recommend.request import Asking, Context, Placed, RecommendRequest
from services.recommend.settings import RecommendSettings
from services.recommend.situation import Situation, situate
from services.recommend.store import ProfileReader, Seen
from shared.auth import Principal
from shared.clock import Clock, real_now_ms
from shared.decisions import (
    Arm,
    ProfileSeen,
    Recommendation,
    as_encoded_offers,
    encode_answer,
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

    @property
    def kind(self) -> str:
        """Whether it is a customer, an anonymous visitor or nobody that is known."""
        if self.customer is not None:
            return "customer"
        return "none" if self.anonymous is None else "anonymous"


class Visit(NamedTuple):
    """One call: whom it is for, what the store said, when it began (perf_counter) and how long it
    may take."""

    named: Named
    seen: Seen | None
    visitor: View | None
    started: float
    deadline_ms: int


Choose: TypeAlias = Callable[[Situation, Knowledge, Ask, Moment], Choice]


Terms: TypeAlias = RecommendRequest | Placed
"""The part of a request that is about its placement."""


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
    masks: FilterMasks = field(init=False)

    def __post_init__(self) -> None:
        self.masks = FilterMasks(self.knowledge.stock.catalogue)
        self.defaults = self.settings.defaults()

    async def recommend(
        self, request: RecommendRequest, principal: Principal, token: str | None
    ) -> bytes:
        """The answer's JSON, always: what fails on the way moves the answer down the ladder."""
        visit = await self.visit(request, principal, token)
        ask = self.ask(request, request.context)
        if request.validate_only:
            return self.validated(request, request, ask, visit)
        return self.offer(visit, request, ask, request.placement)

    async def visit(self, asking: Asking, principal: Principal, token: str | None) -> Visit:
        """Who asks, and what the store says of them, read within the deadline."""
        # not the loop's own clock, which uvloop keeps in whole milliseconds
        started = time.perf_counter()
        deadline_ms = self.settings.deadline_ms
        if asking.deadline_ms is not None and asking.deadline_ms < deadline_ms:
            deadline_ms = asking.deadline_ms
        named = self._named(asking, principal, token)
        seen = visitor = None
        if named.identity is not None and not (asking.context_only or asking.validate_only):
            if deadline_ms < self.settings.store_deadline_ms:
                seen, visitor = await self._read_within(named, deadline_ms / 1_000)
            else:
                seen, visitor = await self._read(named)
        return Visit(named, seen, visitor, started, deadline_ms)

    def ask(self, request: Terms, context: Context) -> Ask:
        """The request's terms at its placement. Raises InvalidInput for filters that are wrong."""
        placement = self.knowledge.stock.catalogue.placement(request.placement)
        allowed = self.masks.mask(request.filters, real_now_ms()) if request.filters else None
        return ask_of(request, context, placement, self.defaults, allowed)

    def offer(
        self,
        visit: Visit,
        asking: Asking,
        ask: Ask,
        placement: str,
        choose: Choose | None = None,
    ) -> bytes:
        """Decides, leaves the record and encodes the answer. choose: decides otherwise than
        `pipeline.decide`, and for everybody, so there is no holdout in it."""
        named, seen, settings = visit.named, visit.seen, self.settings
        now, real_ms = self.clock.now_ms(), real_now_ms()
        view = seen.view if seen is not None else None
        situation = situate(asking, view, visit.visitor, named.identity)
        moment = Moment(now, real_ms, self.ids.next(real_ms), self._late(visit))
        arm: Arm = "personalised"
        if choose is None:
            arm = arm_of(named.identity or moment.decision_id, settings.salt, settings.random_share)
            choice = decide(situation, self.knowledge, ask, arm, moment)
        else:
            choice = choose(situation, self.knowledge, ask, moment)
        age = None if seen is None or seen.at is None else max(0, real_ms - seen.at)
        answer = Recommendation(
            decision_id=moment.decision_id,
            arm=arm,
            model=choice.model or self.knowledge.ranker.name,
            profile_age_ms=age,
            fallback=choice.fallback,
            consent_mode=situation.consent_mode,
            items=as_encoded_offers(choice.offers),
            filtered=choice.filtered,
            profile=_profile(view) if asking.explain else None,
        )
        encoded = encode_answer(answer)
        # encoded at once: a heap of answers that wait would be walked by the garbage collector
        self.log.put(
            *record_of(asking, ask.n, placement, named, now, moment.decision_id, encoded, choice)
        )
        self.metrics.answered(placement, choice.fallback, time.perf_counter() - visit.started, age)
        self.metrics.gathered(choice.sources)
        return finished(encoded, choice, asking)

    def _late(self, visit: Visit) -> Callable[[], bool]:
        deadline = visit.started + visit.deadline_ms / 1_000

        def late() -> bool:
            if time.perf_counter() < deadline:
                return False
            self.metrics.skipped_source()
            return True

        return late

    def validated(self, request: Terms, asking: Asking, ask: Ask, visit: Visit) -> bytes:
        """What would be done, for a request that decides nothing."""
        catalogue = self.knowledge.stock.catalogue
        rules = rules_of(request.filters)
        return encode(
            Validated(
                placement=request.placement,
                administered=catalogue.placement(request.placement) is not None,
                n=ask.n,
                objective=ask.objective,
                surprise=ask.surprise,
                explore_share=ask.explore,
                deadline_ms=visit.deadline_ms,
                identity=visit.named.kind,
                matching=None
                if ask.allowed is None
                else int((ask.allowed & catalogue.columns.live[: len(ask.allowed)]).sum()),
                unknown_fields=unknown_fields(rules, catalogue),
            )
        )

    async def _read_within(self, named: Named, seconds: float) -> tuple[Seen | None, View | None]:
        try:
            async with asyncio.timeout(seconds):
                return await self._read(named)
        except TimeoutError:
            self.metrics.store_failed("deadline")
            return None, None

    def _named(self, request: Asking, principal: Principal, token: str | None) -> Named:
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
        return Named(customer, request.anonymous or request.session_id)

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
