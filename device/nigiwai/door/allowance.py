# SPDX-License-Identifier: Apache-2.0
"""How often each kind of record may pass the door: a token bucket a kind. Pure; the time is an argument."""

from dataclasses import dataclass

from nigiwai.door import field, tables, zones


@dataclass
class Allowance:
    """`burst` records at once, `per_s` a second in the long run."""

    burst: float
    per_s: float
    _left: float = -1.0
    _at_s: float = 0.0

    def take(self, now_s: float) -> bool:
        """Whether one more may pass now; takes it if so."""
        self._refill(now_s)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more may pass."""
        self._refill(now_s)
        return max(0.0, 1.0 - self._left) / self.per_s

    def _refill(self, now_s: float) -> None:
        if self._left < 0.0:
            self._left, self._at_s = self.burst, now_s
        self._left = min(self.burst, self._left + (now_s - self._at_s) * self.per_s)
        self._at_s = now_s


RATES: dict[str, tuple[float, float]] = {
    # As many as an eye that cannot stand up is started again by systemd; the others wait.
    "hello": (20, 1 / 30),
    # A bin comes every 5 s; ten times that lets eye catch up on an hour's backlog in six minutes after the burst.
    "bin": (60, 2.0),
    "vitals": (2, 1.0),
    **field.RATES,
    **zones.RATES,
    **tables.RATES,
}
"""Per kind: burst, and records a second in the long run."""


def fresh_allowances() -> dict[str, Allowance]:
    """A full allowance of every kind, as link has it when it starts; who connects again gets no fresh one."""
    return {kind: Allowance(burst, per_s) for kind, (burst, per_s) in RATES.items()}
