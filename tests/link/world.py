# SPDX-License-Identifier: Apache-2.0
"""A simulated device for the ledger's tests: clocks that can be wrong, eyes that count, and a ledger on a real file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nigiwai.door.records import Bin, CameraKind, Flag, GateCount, Hello
from nigiwai.link.clock import Reading
from nigiwai.link.intervals import Gates, sum_gates
from nigiwai.link.ledger import Ledger, Rules
from nigiwai.link.store.rows import Record

S = 1_000_000_000
MINUTE = 60 * S


def utc_ns(text: str) -> int:
    """Nanoseconds of an ISO time stamp; UTC where it names no offset."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * S


@dataclass
class World:
    """Boot time, and how far off the system clock is from the truth."""

    true_boot_utc_ns: int = utc_ns("2026-11-23T08:00:00")
    boot: str = "b" * 32
    boot_ns: int = 0
    wrong_ns: int = 0
    synchronised: bool = True

    def now(self) -> Reading:
        utc = self.true_boot_utc_ns + self.boot_ns + self.wrong_ns
        return Reading(self.boot, self.boot_ns, utc, self.synchronised)

    @property
    def true_utc_ns(self) -> int:
        return self.true_boot_utc_ns + self.boot_ns

    def forward(self, seconds: float) -> None:
        self.boot_ns += int(seconds * S)

    def reboot(self, boot: str, off_s: float = 0.0) -> None:
        self.true_boot_utc_ns += self.boot_ns + int(off_s * S)
        self.boot, self.boot_ns = boot, 0


@dataclass
class Eye:
    """Makes bins of five seconds that end now."""

    world: World
    run: str = "e" * 32
    sequence: int = 0
    counted: list[Gates] = field(default_factory=list)

    def hello(self) -> Hello:
        return Hello(
            run=self.run,
            boot=self.world.boot,
            version="0.1.0",
            model="m",
            model_sha256="0" * 64,
            settings_sha256="0" * 64,
            camera=CameraKind.RECORDING,
        )

    def bin(self, entered: int = 0, left: int = 0, *, blind_ms: int = 0, flags: tuple[Flag, ...] = ()) -> Bin:
        """Five seconds pass, and this is what was counted in them."""
        start_ms = self.world.boot_ns // 1_000_000
        self.world.forward(5)
        self.sequence += 1
        self.counted.append({"door": (entered, left)})
        return Bin(
            run=self.run,
            sequence=self.sequence,
            first_sequence=self.sequence,
            start_ms=start_ms,
            length_ms=5_000,
            blind_ms=blind_ms,
            gates=(GateCount(gate="door", entered=entered, left=left),),
            flags=flags,
        )


def rules(**changes: object) -> Rules:
    values: dict[str, object] = {"step_ns": MINUTE, "trust_system": True, **changes}
    return Rules(**values)  # type: ignore[arg-type]


def opened(path: Path, world: World, **changes: object) -> Ledger:
    ledger = Ledger(path / "ledger.db", rules(**changes), world.now())
    ledger.tick(world.now(), 0)
    return ledger


def run_minutes(ledger: Ledger, eye: Eye, counts: Iterable[tuple[int, int]]) -> None:
    """One minute for each pair; all of it is counted in the minute's second bin."""
    for entered, left in counts:
        for i in range(12):
            ledger.commit([eye.bin(*((entered, left) if i == 1 else (0, 0)))])
            ledger.tick(eye.world.now(), 0)


def everything(ledger: Ledger) -> list[Record]:
    return ledger.pending(limit=100_000)


def sums(records: Iterable[Record]) -> dict[str, tuple[int, int]]:
    return sum_gates(r.interval.gates for r in records)
