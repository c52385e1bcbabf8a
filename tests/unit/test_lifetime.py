"""BG/NBD and Gamma-Gamma against published figures, simulation, and files by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.recommend.evaluation.clv import evaluate, read_orders, summed
from services.recommend.evaluation.main import command
from services.recommend.training.lifetime import fit_buying_rate, fit_order_worth
from shared.errors import InvalidInput
from shared.lifetime import BuyingRate, Customers, OrderWorth

CDNOW = BuyingRate(r=0.243, alpha=4.414, a=0.793, b=2.426)
CDNOW_WORTH = OrderWorth(p=6.25, q=3.74, v=15.44)
DAY = 86_400


def customers(*rows: tuple[float, float, float, float]) -> Customers:
    return Customers(*np.array(rows).T)


def simulated(count: int, seed: int) -> Customers:
    """Customers who live as the models say, watched for 100 weeks."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        rate, leaving = random.gamma(0.8) / 6.0, random.beta(1.2, 3.0)
        worth = random.gamma(4.0) / 40.0
        age, now, orders, last = random.uniform(40, 100), 0.0, 0, 0.0
        while (now := now + random.exponential(1 / rate)) < age:
            orders, last = orders + 1, now
            if random.random() < leaving:
                break
        mean = random.gamma(5.0 * orders) / worth / orders if orders else 0.0
        rows.append((orders, last, age, mean))
    return customers(*rows)


def test_expected_orders_equal_the_published_example() -> None:
    """Hardie, "Implementing the BG/NBD Model in Excel": 2 repeat orders, the last in week 30.43 of
    38.86, give 1.226 orders in the next 39 weeks."""
    expected = CDNOW.expected_orders(customers((2, 30.43, 38.86, 0)), 39)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


def test_where_the_formula_divides_by_nothing_it_is_its_limit() -> None:
    shopper = customers((3, 20, 40, 0))
    at, beside = (
        BuyingRate(0.8, 6.0, a, 2.0).expected_orders(shopper, 30)[0] for a in (1.0, 1.001)
    )
    assert at == pytest.approx(beside, rel=1e-3)


def test_worth_equals_the_published_customers() -> None:
    """Fader and Hardie's note on the Gamma-Gamma model, CDNOW's first customers."""
    found = CDNOW_WORTH.expected_worth(
        customers((2, 0, 0, 22.35), (1, 0, 0, 11.77), (0, 0, 0, 0.0))
    )
    assert found.tolist() == pytest.approx([24.65, 18.91, 35.17], abs=0.06)


def test_the_likelihood_of_one_customer_is_the_integral_of_what_the_model_says() -> None:
    """Against the definition: orders at rate l, leaving with chance p, drawn and averaged."""
    model = BuyingRate(1.5, 4.0, 1.2, 2.0)
    random = np.random.default_rng(1)
    rate = random.gamma(model.r, 1 / model.alpha, 2_000_000)
    leaving = random.beta(model.a, model.b, 2_000_000)
    x, recency, age = 3, 5.0, 8.0
    lived = (1 - leaving) ** x * rate**x * np.exp(-rate * age)
    left = leaving * (1 - leaving) ** (x - 1) * rate**x * np.exp(-rate * recency)
    likelihood = model.log_likelihoods(customers((x, recency, age, 0)))[0]
    assert np.exp(likelihood) == pytest.approx(float((lived + left).mean()), rel=0.01)


def test_who_never_came_back_is_alive_and_silence_after_many_orders_is_a_bad_sign() -> None:
    alive = CDNOW.alive(customers((0, 0, 30, 0), (8, 10, 30, 0), (8, 29, 30, 0), (2, 10, 30, 0)))
    assert alive[0] == 1.0
    assert alive[1] < alive[3] < alive[2]


def test_fitting_finds_what_the_customers_were_drawn_from() -> None:
    found = simulated(6_000, seed=3)
    rate = fit_buying_rate(found)
    worth = fit_order_worth(found)
    assert rate is not None
    assert worth is not None
    model, likelihood = rate
    truth = BuyingRate(0.8, 6.0, 1.2, 3.0)
    assert likelihood > float(truth.log_likelihoods(found).sum())
    assert model.r == pytest.approx(truth.r, rel=0.15)
    assert model.alpha == pytest.approx(truth.alpha, rel=0.2)
    assert model.a / (model.a + model.b) == pytest.approx(1.2 / 4.2, rel=0.15)
    assert worth.p * worth.v / (worth.q - 1) == pytest.approx(5.0 * 40.0 / 3.0, rel=0.1)


def test_another_unit_of_time_changes_alpha_alone() -> None:
    weeks = simulated(2_000, seed=4)
    days = weeks._replace(recency=weeks.recency * 7, age=weeks.age * 7)
    in_weeks, in_days = fit_buying_rate(weeks), fit_buying_rate(days)
    assert in_weeks is not None
    assert in_days is not None
    scaled = in_weeks[0]._replace(alpha=in_weeks[0].alpha * 7)
    assert in_days[0] == pytest.approx(scaled, rel=1e-3)


def test_orders_are_summed_by_day_without_the_first(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "customer,time,amount\n"
        f"ada,{3 * DAY},10\nada,{3 * DAY + 60},5\n"
        "ada,1970-01-06T10:00:00Z,20\nada,1970-01-06,4\n"
        f"ada,19700113,6\nbob,1970-01-11T23:30:00-02:00,7\n"
    )
    found = summed(read_orders(orders), until=12.0, unit="day")
    assert found.frequency.tolist() == [2, 0]
    assert found.recency.tolist() == [9, 0]
    assert found.age.tolist() == [9, 1]
    assert found.monetary.tolist() == [15, 0]
    assert summed(read_orders(orders), until=12.0, unit="week").age.tolist() == [9 / 7, 1 / 7]


def written_orders(folder: Path) -> Path:
    """300 customers over 300 days, some of whom leave after their second order."""
    random = np.random.default_rng(5)
    lines = ["customer,time,amount"]
    for customer in range(300):
        day, gap = random.integers(0, 60), random.uniform(5, 40)
        left = customer % 3 == 0
        while day < 300:
            lines.append(f"c{customer},{int(day) * DAY},{random.uniform(5, 50):.2f}")
            day += 1 + random.exponential(gap)
            if left and day > 120:
                break
    path = folder / "orders.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command_prints_parameters_and_what_was_foretold(tmp_path: Path) -> None:
    path = written_orders(tmp_path)
    ran = CliRunner().invoke(command, ["clv", "--orders", str(path), "--json"])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout.splitlines()[-1])
    assert set(printed["bg_nbd"]) == {"r", "alpha", "a", "b", "log_likelihood"}
    assert set(printed["gamma_gamma"]) == {"p", "q", "v"}
    assert printed["time_unit"] == "day"
    assert printed["holdout"]["n"] == 300
    assert printed["holdout"]["mae"] < printed["holdout"]["mae_naive"]


def test_a_summary_gives_what_its_orders_give(tmp_path: Path) -> None:
    path = written_orders(tmp_path)
    orders = read_orders(path)
    found = summed(orders, float(orders.day[-1]), "day")
    summary = tmp_path / "summary.csv"
    rows = [f"c{at},{x},{t},{age}" for at, (x, t, age, _) in enumerate(zip(*found, strict=True))]
    summary.write_text("\n".join(["customer,frequency,recency,T", *rows]) + "\n")
    of_orders, of_summary = evaluate(path, None, "day"), evaluate(None, summary, "day")
    assert of_summary["bg_nbd"] == of_orders["bg_nbd"]
    assert of_summary["gamma_gamma"] is None
    assert of_summary["holdout"] is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("customer,time\nada,1\n", "no column 'amount'"),
        ("customer,time,amount\n", "no orders"),
        ("customer,time,amount\nada,soon,1\n", "line 2: 'soon' is no time"),
        ("customer,time,amount\nada,1e99,1\n", "line 2: '1e99' is no time"),
        ("customer,time,amount\nada,1,much\n", "line 2: amount is 'much'"),
        ("customer,time,amount\nada,1\n", "line 2: too few columns"),
        ("customer,time,amount\nada,1,2\n", "too few customers"),
    ],
)
def test_bad_orders_are_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=complaint):
        evaluate(path, None, "day")
    ran = CliRunner().invoke(command, ["clv", "--orders", str(path)])
    assert ran.exit_code == 2
    assert len(ran.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("customer,frequency,recency,T\nada,1,9,5\n", "recency is greater than T"),
        ("customer,frequency,recency,T\nada,-1,1,5\n", "frequency is '-1'"),
        ("customer,frequency,recency\n", "no column 'T'"),
    ],
)
def test_bad_summaries_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "summary.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=complaint):
        evaluate(None, path, "day")


def test_one_of_the_two_files_must_be_named() -> None:
    with pytest.raises(InvalidInput, match="either"):
        evaluate(None, None, "day")
