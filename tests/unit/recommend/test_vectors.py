"""Vectors: what LightFM learns of synthetic tastes, served, folded in and stored."""

import numpy as np
import pytest

from services.recommend.arrays import Numbers
from services.recommend.similar.model import Similar
from services.recommend.vectors.interactions import Interactions, interactions_of
from services.recommend.vectors.loops import NOBODY, affinities, nearest_items, shopper_vector
from services.recommend.vectors.model import Vectors
from services.recommend.vectors.training import train_on
from shared.catalogue import ItemChanged
from shared.models.part import Part

USERS, ITEMS, GENRES = 300, 151, 5
NAMES = [f"c:{user}" for user in range(USERS)]
NOTHING: Numbers = np.empty(0, dtype=np.int64)


def taste(user: int) -> int:
    return user % GENRES


def genre(item: int) -> int:
    return item % GENRES


def touches() -> Interactions:
    """Each user touches 15 items, nine in ten of the genre that is the user's taste."""
    random = np.random.default_rng(5)
    user = np.repeat(np.arange(USERS), 15)
    own = random.random(len(user)) < 0.9
    liked = np.where(own, user % GENRES, random.integers(0, GENRES, len(user)))
    item = 1 + (random.integers(0, (ITEMS - 1) // GENRES, len(user)) * GENRES + liked - 1) % (
        ITEMS - 1
    )
    ones = np.ones(len(user))
    return interactions_of(user, item, ones, np.arange(len(user)), (USERS, ITEMS))


def trained() -> Vectors:
    labelled = [(), *([f"genre={genre(item)}"] for item in range(1, ITEMS))]
    return train_on(touches(), 3, lambda line: None, labelled=labelled, names=NAMES)


@pytest.fixture(scope="module")
def part() -> Part:
    return trained().part()


@pytest.fixture
def vectors(part: Part) -> Vectors:
    """With the numbers of another process: 100 more."""
    return Vectors.of(part, np.array([0, *range(101, 100 + ITEMS)]))


def test_two_trainings_give_equal_bytes(part: Part) -> None:
    again = trained().part()
    assert again.facts == part.facts
    for name, array in part.arrays.items():
        assert again.arrays[name].tobytes() == array.tobytes(), name


def test_no_identity_lies_in_the_part(part: Part) -> None:
    assert len(part.arrays["digests"]) == USERS
    assert "c:1" not in repr(part.facts)


def test_known_customers_get_their_taste(vectors: Vectors) -> None:
    right = 0
    for user in range(50):
        own = shopper_vector(vectors.customer(NAMES[user]), NOTHING, vectors.arrays())
        best, _ = nearest_items(own, vectors.arrays(), 5)
        right += sum(genre(int(item) - 100) == taste(user) for item in best)
    assert right >= 0.8 * 250


def test_who_is_unknown_is_nobody(vectors: Vectors) -> None:
    assert vectors.customer("c:stranger") == NOBODY
    assert Vectors().customer("c:1") == NOBODY
    assert len(shopper_vector(NOBODY, NOTHING, vectors.arrays())) == 0
    assert len(shopper_vector(NOBODY, np.array([5, 10_000]), vectors.arrays())) == 0


def test_folding_in_comes_close_to_what_was_trained(vectors: Vectors) -> None:
    """The vector made of a user's items resembles the user's own more than other users' do."""
    data, arrays = touches(), vectors.arrays()
    own, folded = [], []
    for user in range(50):
        items = data.item[data.user == user].astype(np.int64) + 100
        own.append(shopper_vector(vectors.customer(NAMES[user]), NOTHING, arrays))
        folded.append(shopper_vector(NOBODY, items, arrays))
    likeness = np.corrcoef(np.array(folded), np.array(own))[:50, 50:]
    matched = np.diag(likeness)
    strangers = likeness[np.arange(50) % GENRES != np.arange(50)[:, None] % GENRES]
    assert matched.mean() > 0.7
    assert matched.mean() > strangers.mean() + 0.5


def test_scores_are_the_dot_product_and_the_bias(vectors: Vectors) -> None:
    shopper = shopper_vector(vectors.customer("c:7"), NOTHING, vectors.arrays())
    best, scores = nearest_items(shopper, vectors.arrays(), 20)
    reference = vectors.vectors[best] @ shopper + vectors.biases[best]
    assert np.allclose(scores, reference, atol=1e-4)
    assert np.allclose(affinities(shopper, best, vectors.arrays()), reference, atol=1e-4)
    assert list(scores) == sorted(scores, reverse=True)
    asked = np.array([0, -1, 9_999])
    assert list(affinities(shopper, asked, vectors.arrays())) == [0.0, 0.0, 0.0]


def test_a_new_item_is_ranked_by_its_labels(vectors: Vectors) -> None:
    for value in range(GENRES):
        item = ItemChanged(item=f"new-{value}", fields={"genre": str(value)})
        vectors.cover(1_000 + value, item)
    wins = 0
    for user in range(50):
        own = shopper_vector(vectors.customer(NAMES[user]), NOTHING, vectors.arrays())
        scores = affinities(own, np.arange(1_000, 1_000 + GENRES), vectors.arrays())
        wins += int(scores.argmax()) == taste(user)
    assert wins >= 40
    assert 1_000 in nearest_items(own, vectors.arrays(), 500)[0]


def test_what_leads_after_new_items_is_what_would_be_chosen_anew(vectors: Vectors) -> None:
    vectors.arrays()
    for number, value in ((1_000, 0), (3_000, 1), (1_500, 2), (1_000, 3)):
        vectors.cover(number, ItemChanged(item=str(number), fields={"genre": str(value)}))
    kept = vectors.arrays()
    vectors._arrays = None
    for held, anew in zip(kept, vectors.arrays(), strict=True):
        assert all(
            map(np.array_equal, held, anew)
            if isinstance(held, tuple)
            else [np.array_equal(held, anew)]
        )
    assert {1_000, 1_500, 3_000} <= set(kept[6].tolist())
    assert kept[7].flags.c_contiguous


def test_a_trained_item_keeps_its_vector(vectors: Vectors) -> None:
    before = vectors.vectors[101].copy()
    vectors.cover(101, ItemChanged(item="1", fields={"genre": "3"}))
    vectors.cover(2_000, ItemChanged(item="unlabelled"))
    assert np.array_equal(before, vectors.vectors[101])
    assert len(vectors.known) <= 2_000 or not vectors.known[2_000]


def test_items_without_partners_get_them_by_their_vectors(vectors: Vectors) -> None:
    vectors.cover(1_000, ItemChanged(item="new", fields={"genre": "2"}))
    similar = Similar()
    similar.cover(np.array([1_000, 5_000]), vectors)
    partners, scores = similar.partners(1_000)
    assert {genre(int(item) - 100) for item in partners[:10]} == {2}
    assert list(scores) == sorted(scores, reverse=True)
    assert not len(similar.partners(5_000)[0])


def test_lists_given_later_leave_the_others_and_are_kept(vectors: Vectors) -> None:
    similar = Similar()
    known: dict[int, list[int]] = {}
    for number in range(1_000, 1_020):
        vectors.cover(number, ItemChanged(item=str(number), fields={"genre": str(number % GENRES)}))
        similar.cover(np.array([number]), vectors)
        known[number] = similar.partners(number)[0].tolist()
    assert similar.size == len(known) <= len(similar.lengths)
    read = Similar.of(similar.part(), np.arange(4_000))
    for number, partners in known.items():
        assert similar.partners(number)[0].tolist() == partners != []
        assert read.partners(number)[0].tolist() == partners
