"""Money as shops write it (decimals, currency codes) into integer minor units.

Pure. Used by the adapters of formats that state prices as decimals; native events state minor
units already. Exponents are those of ISO 4217.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from services.ingest.reasons import Reason, refuse

_TWO: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD "
    "MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP "
    "PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG"
)
_ZERO: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"

EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_ZERO.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
}
"""Currency code → digits after the decimal point."""

_LARGEST: Final = 10**12


def read_currency(value: Any, path: str) -> str:
    """The code in capitals. Raises EventRefused(wrong_currency) where ISO 4217 has no such code."""
    code = value.strip().upper() if isinstance(value, str) else ""
    if code not in EXPONENTS:
        raise refuse(Reason.WRONG_CURRENCY, f"{path}: not a currency code of ISO 4217")
    return code


def to_minor(value: Any, currency: str, path: str) -> int:
    """A decimal amount (number or text) of `currency` in minor units.

    Exact for every amount with no more digits than the currency has; further digits, such as the
    dust of binary floats, are rounded to the nearest unit, ties to even. Raises EventRefused.
    """
    amount = _decimal(value, path)
    if amount < 0:
        raise refuse(Reason.NEGATIVE_PRICE, f"{path}: below 0")
    if amount > _LARGEST:
        raise refuse(Reason.INVALID_FIELD, f"{path}: above {_LARGEST} minor units")
    minor = int(amount.scaleb(EXPONENTS[currency]).to_integral_value(ROUND_HALF_EVEN))
    if minor > _LARGEST:
        raise refuse(Reason.INVALID_FIELD, f"{path}: above {_LARGEST} minor units")
    return minor


def _decimal(value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse(Reason.INVALID_FIELD, f"{path}: neither a number nor a decimal text")
    text = value.strip() if isinstance(value, str) else repr(value)
    if len(text) > 64:
        raise refuse(Reason.INVALID_FIELD, f"{path}: an amount of more than 64 digits")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise refuse(Reason.INVALID_FIELD, f"{path}: not a decimal number") from None
    if not amount.is_finite():
        raise refuse(Reason.NAN, f"{path}: not a finite number")
    return amount
