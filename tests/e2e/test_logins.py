"""Who may say who a shopper is: logins, identity tokens, keys."""

import time
from typing import Any

import jwt
import msgspec

from services.profile.component import Component
from services.profile.identity import Identity
from shared.events import anonymous_key, customer_key
from shared.identity_tokens import new_ed25519_pair
from tests.fixtures.systems import Shop, event, filtered_of, items_of
from tests.fixtures.waiting import eventually

REVOKED_S = 5.0


def without_count(component: Component) -> dict[str, Any]:
    """All that a login must not change: the login itself is an event."""
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(component))
    del found["events"]
    return found


def token(signing_key: str, kid: str, subject: str, *, lives_s: int = 300) -> str:
    """What the shop's backend signs for its page."""
    claims = {"sub": subject, "exp": int(time.time()) + lives_s}
    return jwt.encode(claims, signing_key, algorithm="EdDSA", headers={"kid": kid})


async def pair(shop: Shop, customer: str, visitor: str) -> tuple[Identity, Identity]:
    """What profile holds of a customer and of a visitor, once all that was sent is folded."""
    await shop.drained()
    keys = [customer_key(customer), anonymous_key(visitor)]
    found = await shop.identities(keys)
    return found[keys[0]], found[keys[1]]


async def test_the_visitors_cart_is_the_customers_after_a_login(shop: Shop, shopper: str) -> None:
    visitor = f"visitor-of-{shopper}"
    browser = shop.system.keys.browser
    carted = event("cart_added", anonymous=visitor, item="rug-2", quantity=3)
    viewed = event("item_viewed", anonymous=visitor, item="rug-3")
    await shop.send(carted, viewed, key=browser)
    await shop.ask_until(2, anonymous=visitor)
    known = event("item_viewed", customer=shopper, item="clock-2")
    login = event("identified", customer=shopper, anonymous=visitor)
    await shop.send(known, login)
    answer = await shop.ask_until(4, customer=shopper)
    assert "rug-2" not in items_of(answer)
    assert filtered_of(answer)["in_cart"] == 1
    customer, anonymous = await pair(shop, shopper, visitor)
    assert customer.profile.absorbed.keys() == {visitor}
    assert customer.profile.component.cart["rug-2"].quantity == 3
    assert anonymous.profile.owner == shopper
    assert anonymous.profile.component.events == 0

    again = login | {"event_id": f"again-{shopper}"}
    await shop.send(again, login)
    await shop.ask_until(5, customer=shopper)
    twice, _ = await pair(shop, shopper, visitor)
    assert twice.profile.absorbed.keys() == {visitor}
    assert without_count(twice.profile.component) == without_count(customer.profile.component)
    await shop.send(event("item_viewed", anonymous=visitor, item="rug-4"), key=browser)
    await shop.ask_until(6, customer=shopper)
    await shop.verify()


async def test_only_a_good_token_lets_a_browser_speak_for_a_customer(
    shop: Shop, shopper: str
) -> None:
    visitor = f"visitor-of-{shopper}"
    browser = shop.system.keys.browser
    made = await shop.attune("keys", "token-key", "create")
    kid, signing = made["kid"], made["signing_key"]
    good = token(signing, kid, shopper)
    await shop.send(*(event("item_viewed", customer=shopper, item=f"lamp-{n}") for n in range(2)))
    await shop.ask_until(2, customer=shopper)

    async def proved() -> bool:
        answer = await shop.ask(key=browser, customer=shopper, token=good)
        return answer["profile"] is not None

    await eventually(proved, within_s=REVOKED_S, what="the new token key in force")
    strangers, _ = new_ed25519_pair()
    forged = {
        "another key": token(strangers, kid, shopper),
        "expired": token(signing, kid, shopper, lives_s=-60),
        "unknown kid": token(signing, "nobody", shopper),
        "another algorithm": jwt.encode(
            {"sub": shopper, "exp": int(time.time()) + 300}, "s" * 32, headers={"kid": kid}
        ),
        "another customer": token(signing, kid, f"{shopper}-other"),
        "no token": "none",
    }
    for why, bad in forged.items():
        answer = await shop.ask(key=browser, customer=shopper, token=bad)
        assert answer["profile"] is None, why
        claim = {"customer": shopper, "anonymous": visitor, "context": {"identity_token": bad}}
        login, view = event("identified", **claim), event("item_viewed", **claim, item="rug-1")
        await shop.send(login, view, key=browser)
    refused = await shop.post_events(
        msgspec.json.encode(event("item_viewed", anonymous=visitor, item="rug-1")),
        key=browser,
        headers={"attune-identity-token": forged["another key"]},
    )
    assert refused.status_code == 401
    customer, anonymous = await pair(shop, shopper, visitor)
    assert (customer.profile.component.events, customer.profile.absorbed) == (2, {})
    assert anonymous.profile.owner is None
    assert anonymous.profile.component.events == 2 * len(forged)

    claim = {"customer": shopper, "anonymous": visitor, "context": {"identity_token": good}}
    await shop.send(event("identified", **claim), key=browser)
    answer = await shop.ask_until(3 + 2 * len(forged), key=browser, customer=shopper, token=good)
    assert answer["fallback"] == "none"
    customer, anonymous = await pair(shop, shopper, visitor)
    assert customer.profile.absorbed.keys() == {visitor}
    assert anonymous.profile.owner == shopper


async def test_a_revoked_key_is_refused_within_five_seconds(shop: Shop, shopper: str) -> None:
    made = await shop.attune("keys", "create", "--kind", "server", "--name", "short-lived")
    view = msgspec.json.encode(event("item_viewed", customer=shopper, item="desk-4"))

    async def statuses() -> set[int]:
        sent = await shop.post_events(view, key=made["key"])
        asked = await shop.post_recommend(key=made["key"], customer=shopper)
        return {sent.status_code, asked.status_code}

    async def valid() -> bool:
        return await statuses() == {200}

    async def refused() -> bool:
        return await statuses() == {401}

    await eventually(valid, within_s=REVOKED_S, what="the new key in force")
    await shop.attune("keys", "revoke", made["id"])
    await eventually(refused, within_s=REVOKED_S, what="the revoked key refused")
    kept = await shop.attune("keys", "list")
    assert made["key"] not in str(kept)
    assert next(key for key in kept["keys"] if key["id"] == made["id"])["revoked_at"]
