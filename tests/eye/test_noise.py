# SPDX-License-Identifier: Apache-2.0
"""Noise on the numbers of released blocks: what stays true of them, and what is said where it cannot be drawn."""

import builtins
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.errors import SettingsError
from nigiwai.eye.noise import fitted, noised, open_noise
from nigiwai.eye.release import Block
from nigiwai.link.correction import noise_variance
from nigiwai.settings import parse


@given(st.lists(st.integers(-50, 400), min_size=2, max_size=30), st.integers(0, 500), st.integers(5, 30))
def test_numbers_are_at_least_k_and_add_up_to_what_is_public(numbers: list[int], more: int, k: int) -> None:
    people = k * len(numbers) + more
    found = fitted(numbers, people, k)
    assert sum(found) == people
    assert min(found) >= k


@pytest.mark.parametrize(
    ("numbers", "people", "expected"),
    [
        ([30, 20, 50], 100, [30, 20, 50]),  # nothing to do
        ([33, 20, 50], 100, [32, 19, 49]),  # three too many: one less each
        ([28, 20, 50], 100, [29, 21, 50]),  # two too few; one more each would be three, and the largest gives one back
        ([3, 50, 50], 100, [10, 45, 45]),  # the first is raised to k
    ],
)
def test_the_shift_by_hand(numbers: list[int], people: int, expected: list[int]) -> None:
    assert fitted(numbers, people, 10) == expected


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="19 people in 2 blocks"):
        fitted([5, 14], 19, 10)


def test_a_single_block_is_public_already() -> None:
    one = (Block(127, 4, 21, 40),)
    assert noised(one, 10, lambda numbers: [n + 7 for n in numbers]) == one
    assert noised((), 10, lambda numbers: numbers) == ()


def test_the_library_draws_what_was_declared() -> None:
    """Two-sided geometric noise of scale 2 / epsilon: variance 2 a / (1 - a)^2 with a = exp(-epsilon / 2)."""
    pytest.importorskip("opendp", reason="noise needs the extra `noise`")
    noise = open_noise(1.0)
    drawn = np.array(noise([100] * 20_000)) - 100
    assert abs(drawn.mean()) < 0.1
    assert drawn.var() == pytest.approx(noise_variance(1.0), rel=0.1)
    assert noise_variance(1.0) == pytest.approx(7.835, abs=1e-3)
    blocks = (Block(7, 4, 21, 40), Block(120, 4, 21, 60))
    told = {noised(blocks, 10, noise) for _ in range(50)}
    assert len(told) > 5
    assert all(sum(b.people for b in t) == 100 for t in told)


def test_a_missing_library_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("opendp"):
            raise ImportError("No module named 'opendp'")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"traits.epsilon = 1.0.*nigiwai\[noise\]"):
        open_noise(1.0)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 0.01, 11.0])
def test_an_epsilon_that_means_nothing_is_refused(epsilon: float) -> None:
    with pytest.raises(SettingsError, match="epsilon"):
        parse({"traits": {"epsilon": epsilon}})
    assert parse({"traits": {"epsilon": 1.0}}).traits.epsilon == 1.0
    assert parse({}).traits.epsilon is None
