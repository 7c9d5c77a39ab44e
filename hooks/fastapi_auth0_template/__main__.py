"""The entry point: answers Ctrl-C from the first moment, then loads the rest."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_early)  # loading the rest takes a moment
    from .app import leave, run

    leave(run(sys.argv[1:] if argv is None else argv, catch_signals=True))


def _stop_early(*_: object) -> None:
    os.write(2, b"error: interrupted; nothing was changed\n")
    os._exit(130)


if __name__ == "__main__":
    main()
