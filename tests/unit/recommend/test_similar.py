"""Item-to-item lists: the closed form against its definition, the choice, and the part."""

import numpy as np

from services.recommend.similar.model import Similar
from services.recommend.similar.solving import core, cosine, ease, gram_of, rows_of
from services.recommend.similar.training import train_on
from services.recommend.vectors.interactions import Interactions, interactions_of


def some() -> Interactions:
    random = np.random.default_rng(2)
    user = np.repeat(np.arange(200), 12)
    item = 1 + random.integers(0, 12, len(user)) * 5 + user % 5
    return interactions_of(user, item, np.ones(len(user)), np.arange(len(user)), (200, 61))


def test_ease_is_its_closed_form() -> None:
    random = np.random.default_rng(1)
    rows = (random.random((80, 20)) < 0.3).astype(np.float64)
    gram = rows.T @ rows
    inverse = np.linalg.inv(gram + 7.0 * np.eye(20))
    reference = np.eye(20) - inverse @ np.diag(1.0 / np.diag(inverse))
    assert np.allclose(ease(gram, 7.0), reference, atol=1e-5)


def test_cosine_is_shared_users_over_the_geometric_mean() -> None:
    gram = np.array([[4.0, 2.0], [2.0, 9.0]])
    assert np.allclose(cosine(gram, 0.0), [[0, 2 / 6], [2 / 6, 0]])
    assert np.allclose(cosine(gram, 2.0), [[0, 2 / 8], [2 / 8, 0]])


def test_gram_counts_the_users_two_items_share() -> None:
    data = some()
    items = core(data)
    gram = gram_of(rows_of(data, items))
    first, second = set(data.user[data.item == items[0]]), set(data.user[data.item == items[5]])
    assert gram[0, 5] == len(first & second)
    assert gram[0, 0] == len(first)


def test_lists_hold_partners_of_the_same_group_and_survive_the_store() -> None:
    said: list[str] = []
    made = train_on(some(), 1, said.append)
    partners, scores = made.partners(7)
    assert len(partners)
    assert {int(item) % 5 for item in partners} == {2}
    assert 7 not in partners
    assert list(scores) == sorted(scores, reverse=True)
    assert 0 < scores[-1] <= scores[0] <= 1
    assert len(said) == 1
    again = Similar.of(made.part(), np.array([0, *range(501, 561)]))
    there, stored = again.partners(507)
    assert np.array_equal(there, partners + 500)
    assert np.array_equal(stored, scores)
    assert again.facts["method"] in ("ease", "cosine")


def test_items_beyond_the_core_get_partners_of_it() -> None:
    data = some()
    items = core(data, most=30)
    from services.recommend.similar.training import _beyond

    found = _beyond(data, items)
    assert sorted([*found, *items.tolist()]) == list(range(1, 61))
    rare, (numbers, _) = next(iter(found.items()))
    assert set(numbers.tolist()) <= set(items.tolist())
    assert {int(number) % 5 for number in numbers} == {rare % 5}


def test_two_trainings_give_equal_bytes() -> None:
    first, second = (train_on(some(), 1, lambda line: None).part() for _ in range(2))
    for name, array in first.arrays.items():
        assert second.arrays[name].tobytes() == array.tobytes(), name
