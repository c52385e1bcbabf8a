"""Which season it is where the shopper is.

Part of availability.py. Months and seasons are meteorological and by UTC; the hemisphere follows
from the country. Pure.
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.catalogue.columns import Mask
from services.recommend.catalogue.terms import ALL_YEAR

_SOUTHERN: Final = (
    "AO AQ AR AS AU BI BO BR BV BW CC CD CK CL CX EC FJ FK GS HM ID IO KI KM LS MG MU MW MZ NA NC"
    " NF NR NU NZ PE PF PG PN PY RE RW SB SC SH SZ TF TK TL TO TV TZ UY VU WF WS YT ZA ZM ZW"
)
SOUTHERN: Final = frozenset(_SOUTHERN.split())
"""Countries most of whose people live south of the equator."""
_SPRING: Final = 12
_MONTHS_A_SEASON: Final = 3


def season_bits(now: int, *, southern: bool) -> int:
    """The bits (catalogue/terms.py) of this month and of the season it is in a hemisphere."""
    month = _moment(now).month
    # March is the first month of the northern spring, and of the southern autumn
    season = (month - 3) % 12 // _MONTHS_A_SEASON
    if southern:
        season = (season + 2) % 4
    return 1 << (month - 1) | 1 << (_SPRING + season)


def in_season(seasons: NDArray[np.int32], country: str | None, now: int) -> Mask:
    """For each row's bits, whether it is in season for a shopper there; without a country only
    what is in season in both hemispheres, since it may be either."""
    north, south = season_bits(now, southern=False), season_bits(now, southern=True)
    all_year: Mask = seasons == ALL_YEAR
    if country is not None:
        north = south = south if country in SOUTHERN else north
    mask: Mask = all_year | ((seasons & north != 0) & (seasons & south != 0))
    return mask


def next_month(now: int) -> int:
    """Epoch ms at which the month ends, and the season may."""
    moment = _moment(now)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000


def _moment(now: int) -> datetime:
    return datetime.fromtimestamp(min(max(now, 0), 32_503_680_000_000) / 1_000, tz=UTC)
