# SPDX-License-Identifier: Apache-2.0
"""How often something may be tried or sent. Pure; time and chance are arguments."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Waiting times that double from `first_s` to `longest_s`, each drawn from its upper half, so that a thousand
    devices that lost one broker do not come back in the same second.
    """

    first_s: float = 1.0
    longest_s: float = 120.0
    _tries: int = 0

    def next_s(self, chance: float) -> float:
        """Seconds to wait before the next try; `chance` is uniform in 0..1."""
        full = min(self.longest_s, self.first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return full * (0.5 + 0.5 * chance)

    def reset(self) -> None:
        """The last try worked."""
        self._tries = 0


@dataclass(slots=True)
class Budget:
    """A token bucket: `burst` at once, `per_s` in the long run."""

    burst: float
    per_s: float
    _spent: float = 0.0
    _at_s: float = 0.0

    def take(self, amount: float, now_s: float) -> bool:
        """Whether `amount` may be spent now; spends it if so."""
        self._spent = max(0.0, self._spent - (now_s - self._at_s) * self.per_s)
        self._at_s = now_s
        if self._spent + amount > self.burst:
            return False
        self._spent += amount
        return True
