# SPDX-License-Identifier: Apache-2.0
"""What the tracker may be told, with units and reasons."""

from dataclasses import dataclass, field, replace

from nigiwai.eye.motion import Noise

ABOVE_WANDER = 0.3
"""`Noise.wander` of widths and heights seen from above: true boxes of rendered people change by 0.28 of their scale
from 60 and from 90 degrees down (rms, along their way; 4,600 steps of a tenth of a second)."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings of the tracker; the defaults were chosen on simulated crowds (docs/accuracy.md)."""

    high_score: float = 0.4
    """From here on a detection may begin a track, and a track with this mean score is surely a person: what only looks
    like one (a pram, a coat) has a good score now and then."""

    low_score: float = 0.1
    """From here on a detection may continue one (Zhang et al. 2022, ByteTrack: the half hidden have low scores)."""

    confirm_s: float = 0.2
    """A track is real when it has lasted this long..."""

    confirm_hits: int = 3
    """...and was seen this often; at low frame rates twice is enough once it lasted `confirm_slow_s`."""

    confirm_slow_s: float = 0.25
    """Two sightings this far apart are no flicker of one frame."""

    forget_s: float = 1.6
    """A real track that was not seen for this long is over; until then motion alone may link it again."""

    still_s: float = 3.0
    """Who has been in one place for this long is a coat, a mannequin or somebody who waits..."""

    forget_still_s: float = 20.0
    """...and keeps the place for so long unseen, at least `forget_s`: else a passer-by's track would stay with the coat
    that flickers up."""

    forget_new_s: float = 0.3
    """The same for one that is not real yet, be it a single frame at 3 a second: in the 0.7 s until the next but one
    people walk half their height, who knows where, and whoever comes in meanwhile would be taken for them."""

    gate: float = 16.0
    """Squared distance in standard deviations beyond which a detection cannot be the track's."""

    lost_gate: float = 9.0
    """`gate` for somebody lost: prediction grows so vague that it would reach everybody who comes."""

    alone: float = 20.0
    """Cost of leaving a track without a detection; above `gate` because the cost also counts vagueness."""

    low_gate: float = 9.0
    """`gate` for low scores, which are often somebody else's."""

    most: int = 200
    """Tracks kept at once: more people than a picture can show, so that memory is bounded whatever comes in."""

    noise: Noise = field(default_factory=Noise)

    hide_each_other: bool = True
    """People stand behind one another, as seen from the side: boxes that overlap may be two people's, one within
    another is a part only where both have the same head, and whoever is hidden is waited for behind somebody else."""

    def from_above(self) -> "TrackerConfig":
        """The same for a camera that looks down steeply, where nobody hides anybody.

        A box within another is a part of the person, or what they pull; boxes that overlap much are one person's. So a
        low score is not of somebody behind: it may be as far from where its track is expected as a high one. Who is not
        seen for a while has not gone behind somebody: the next who comes there is another person, and where somebody
        else is seen they are not. Boxes grow and shrink with every step.
        """
        noise = replace(self.noise, wander=(*self.noise.wander[:2], ABOVE_WANDER, ABOVE_WANDER))
        return replace(self, hide_each_other=False, low_gate=self.gate, forget_s=0.8, noise=noise)
