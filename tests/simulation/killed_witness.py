"""A witness that dies between a signature and its answer: `killed_witness.py --dir W …`.

The same command as `chainperp witness`; after the number of signatures in KILL_AFTER the process
kills itself, as a power cut would, once the signature exists and before anything is sent.
"""

import os
import signal
import sys
from pathlib import Path

from chainperp.cli.main import run
from chainperp.storage import witness
from chainperp.storage.files import Files


class DyingWitness(witness.WitnessStore):
    """Kills the process after a number of signatures."""

    def __init__(self, path: Path, files: Files, lock: int, warn: witness.Warn) -> None:
        super().__init__(path, files, lock, warn)
        left = int(os.environ["KILL_AFTER"])
        honest = self.sign

        def sign_and_die(message: bytes) -> bytes:
            nonlocal left
            signature = honest(message)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return signature

        self.sign = sign_and_die


def main() -> None:
    witness.WitnessStore = DyingWitness  # type: ignore[misc]
    sys.argv = ["chainperp", "witness", *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
