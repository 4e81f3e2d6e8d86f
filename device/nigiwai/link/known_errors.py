# SPDX-License-Identifier: Apache-2.0
"""How often eye says child, and family, rightly and wrongly, until an audit at the entrance has replaced it. Pure.

Of people in rendered recordings who were counted, unknown taken as not said: `python -m nigiwai.lab.rendered` over the
recordings of each view that docs/accuracy.md names. From steeply above fewer children hide behind their parents,
so the errors go by how far the camera looks down; those of the nearest view measured are taken.
"""

from dataclasses import dataclass

from nigiwai.link.correction import Confusion, Rate
from nigiwai.settings import Settings


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of somebody who says child, and family."""

    child: Confusion
    family: Confusion


WITH_MODEL: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.643, 28), Rate(0.016, 192)),
        Confusion(Rate(0.537, 82, 2.41), Rate(0.13, 138, 1.39)),
    ),
    45.0: Known(
        Confusion(Rate(0.721, 43), Rate(0.039, 204)),
        Confusion(Rate(0.68, 97, 2.36), Rate(0.14, 150, 1.93)),
    ),
    60.0: Known(
        Confusion(Rate(0.768, 181), Rate(0.019, 688)),
        Confusion(Rate(0.866, 284, 2.96), Rate(0.115, 585, 1.82)),
    ),
}
BY_HEIGHT: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.643, 28), Rate(0.016, 192)),
        Confusion(Rate(0.634, 82, 2.41), Rate(0.152, 138, 1.39)),
    ),
    45.0: Known(
        Confusion(Rate(0.628, 43), Rate(0.034, 204)),
        Confusion(Rate(0.68, 97, 2.36), Rate(0.153, 150, 1.93)),
    ),
    60.0: Known(
        Confusion(Rate(0.707, 181), Rate(0.028, 688)),
        Confusion(Rate(0.905, 284, 2.96), Rate(0.145, 585, 1.82)),
    ),
}
"""By how far the camera looks down, in degrees: with the trait model, and where heights speak alone."""

NO_VIEW = 30.0


def known_errors(settings: Settings) -> Known:
    """Those of a device that looks at people, or does not, from such a view."""
    tilt = NO_VIEW if settings.view is None else settings.view.tilt_deg
    measured = WITH_MODEL if settings.traits.model else BY_HEIGHT
    return measured[min(measured, key=lambda t: abs(t - tilt))]
