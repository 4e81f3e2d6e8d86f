# SPDX-License-Identifier: Apache-2.0
"""Differential privacy on top of the release rule, for those who want it: the numbers of a table's blocks with noise.

Which blocks there are is the rule's affair (release.py), not epsilon's. Given the blocks, their numbers get two-sided
geometric noise of OpenDP (Ghosh, Roughgarden and Sundararajan 2009), of scale 2 / epsilon: if one person had other
traits, two numbers would differ by one each, since how many passed in all is public. Then the numbers are made to fit
what is public: at least k each, and all of them together the table's people. Noise is drawn once a table.
"""

from collections.abc import Callable, Sequence

from nigiwai.errors import SettingsError
from nigiwai.eye.release import Block

Noise = Callable[[list[int]], list[int]]
"""Whole numbers with noise of their own each."""

SENSITIVITY = 2.0


def open_noise(epsilon: float) -> Noise:
    """The noise for that epsilon. Raises SettingsError where the library that draws it is missing."""
    try:
        from opendp.domains import atom_domain, vector_domain
        from opendp.measurements import make_geometric
        from opendp.metrics import l1_distance
        from opendp.mod import enable_features
    except ImportError as e:
        raise SettingsError(
            f"traits.epsilon = {epsilon}: noise is drawn by OpenDP, which is not installed ({e}); install it with"
            " `pip install 'nigiwai[noise]'`, or leave traits.epsilon out"
        ) from None
    enable_features("contrib")
    draw = make_geometric(vector_domain(atom_domain(T="i64")), l1_distance(T="i64"), scale=SENSITIVITY / epsilon)

    def noise(numbers: list[int]) -> list[int]:
        return [int(n) for n in draw(numbers)]

    return noise


def noised(blocks: Sequence[Block], k: int, noise: Noise) -> tuple[Block, ...]:
    """The blocks with noise on their numbers; of one block, or none, nothing is hidden and nothing changes."""
    if len(blocks) < 2:
        return tuple(blocks)
    people = sum(b.people for b in blocks)
    numbers = fitted(noise([b.people for b in blocks]), people, k)
    return tuple(b._replace(people=n) for b, n in zip(blocks, numbers, strict=True))


def fitted(numbers: Sequence[int], people: int, k: int) -> list[int]:
    """The numbers, at least `k` each, that add up to `people` and are shifted as evenly as that allows.

    Raises ValueError where so many k do not fit.
    """
    if people < k * len(numbers):
        raise ValueError(f"{people} people in {len(numbers)} blocks of {k} at least")
    low, high = min(numbers) - people, max(numbers) + people
    while high - low > 1:  # the largest whole shift down that leaves at least as many as there are
        middle = (low + high) // 2
        enough = sum(max(k, n - middle) for n in numbers) >= people
        low, high = (middle, high) if enough else (low, middle)
    found = [max(k, n - low) for n in numbers]
    over = sum(found) - people
    for i in sorted(range(len(found)), key=lambda i: -found[i])[:over]:
        found[i] -= 1
    return found
