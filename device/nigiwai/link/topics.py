# SPDX-License-Identifier: Apache-2.0
"""The topic tree: nigiwai/v1/<site>/<device>/..."""

from dataclasses import dataclass

from nigiwai.link.messages import ROOT


@dataclass(frozen=True)
class Topics:
    """One device's branch; the only place where topics are put together."""

    site: str
    device: str

    @property
    def branch(self) -> str:
        """What every topic of this device begins with."""
        return f"{ROOT}/{self.site}/{self.device}"

    def of(self, leaf: str) -> str:
        """The topic of one kind of message, such as `counts` or `response/resend`."""
        return f"{self.branch}/{leaf}"

    @property
    def requests(self) -> str:
        """The filter that this device's requests come by."""
        return f"{self.branch}/request/+"

    def command_in(self, topic: str) -> str:
        """The command that a request's topic names; empty if it is none of ours."""
        prefix = f"{self.branch}/request/"
        return topic[len(prefix) :] if topic.startswith(prefix) else ""
