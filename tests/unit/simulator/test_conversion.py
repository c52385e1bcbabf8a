import pytest

from services.simulator.conversion import Conversions
from services.simulator.dry_run import simulate
from services.simulator.world import build
from tests.unit.simulator.recommenders import split

START = 1_780_300_800_000
SEEDS = range(20)


def filled(personalised: tuple[int, int], random: tuple[int, int]) -> Conversions:
    conversions = Conversions()
    for arm, (shown, converted) in (("personalised", personalised), ("random", random)):
        for number in range(shown):
            conversions.add(f"{arm}-{number}", arm, number < converted)
    return conversions


def test_lift_is_the_ratio_of_the_rates() -> None:
    conversions = filled((400, 80), (400, 40))
    result = conversions.lift()
    assert conversions.totals() == (400, 80, 400, 40)
    assert result.lift == pytest.approx(1.0)
    low, high = result.interval
    assert low is not None
    assert high is not None
    # the delta method on the log of the ratio gives 0.40 to 1.85 here
    assert low == pytest.approx(0.40, abs=0.1)
    assert high == pytest.approx(1.85, abs=0.3)


def test_the_interval_is_the_same_each_time() -> None:
    assert filled((90, 30), (90, 12)).lift(4) == filled((90, 30), (90, 12)).lift(4)


def test_visits_of_one_shopper_count_as_alike() -> None:
    apart, together = filled((400, 80), (400, 40)), Conversions()
    for arm, converting in (("personalised", 4), ("random", 2)):
        for shopper in range(20):
            for _ in range(20):
                together.add(f"{arm}-{shopper}", arm, shopper < converting)
    assert apart.totals() == together.totals()
    narrow, wide = apart.lift().interval, together.lift().interval
    assert narrow[0] is not None
    assert wide[0] is not None
    assert wide[0] < narrow[0]


@pytest.mark.parametrize("counts", [((0, 0), (0, 0)), ((10, 3), (0, 0)), ((10, 3), (10, 0))])
def test_without_conversions_to_compare_nothing_is_claimed(
    counts: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    result = filled(*counts).lift()
    assert result.lift is None
    assert result.interval == (None, None)


def test_few_conversions_give_an_estimate_but_no_interval() -> None:
    result = filled((10, 4), (10, 2)).lift()
    assert result.lift == pytest.approx(1.0)
    assert result.interval == (None, None)


def test_json_has_the_keys_that_scripts_rely_on() -> None:
    conversion = filled((50, 20), (40, 10)).as_json()
    assert conversion["personalised"] == {"shown": 50, "converted": 20}
    assert conversion["random"] == {"shown": 40, "converted": 10}
    assert conversion["lift"] == pytest.approx(0.6)
    assert conversion["ci95"][0] < 0.6 < conversion["ci95"][1]


def test_an_arm_that_no_experiment_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="control"):
        Conversions().add("customer-1", "control", True)


def intervals(name: str) -> list[tuple[float, float]]:
    found = []
    for seed in SEEDS:
        world = build(name, seed)
        run = simulate(world, split(world, seed), start=START, days=3)
        low, high = run.conversions.lift(seed).interval
        assert low is not None
        assert high is not None
        found.append((low, high))
    return found


def test_where_offers_have_no_effect_the_interval_covers_zero() -> None:
    assert sum(low <= 0 <= high for low, high in intervals("null")) >= 17


def test_where_taste_matters_a_taste_aware_recommender_lifts_conversion() -> None:
    assert sum(low > 0 for low, _ in intervals("default")) >= 19


def test_random_offers_under_both_names_lift_nothing() -> None:
    covered = 0
    for seed in SEEDS:
        world = build("default", seed)
        run = simulate(world, split(world, seed, aware=False), start=START, days=2)
        low, high = run.conversions.lift(seed).interval
        assert low is not None
        assert high is not None
        covered += low <= 0 <= high
    assert covered >= 17
