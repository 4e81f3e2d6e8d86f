# SPDX-License-Identifier: Apache-2.0
"""Settings as JSON on standard input, the PDF on standard output. Exit code 3 with one line where it cannot be made."""

import sys

from nigiwai.errors import NigiwaiError
from nigiwai.link.notice.poster import poster
from nigiwai.settings import Settings


def main() -> int:
    """Writes the poster of the size that is named first."""
    settings = Settings.model_validate_json(sys.stdin.read())
    try:
        sys.stdout.buffer.write(poster(settings, sys.argv[1]))
    except NigiwaiError as e:
        sys.stderr.write(f"{e}\n")
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
