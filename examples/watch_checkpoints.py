"""Watch a log: `python watch_checkpoints.py SOURCE KEPT [SECONDS [TIMES]]`

SOURCE is a URL below which /log/checkpoint is served, or a data directory. KEPT is a file of yours
with the log's key and the last checkpoint you saw: it is what the log cannot take back, so do not
lose it. Each new checkpoint must continue it. When one does not, both are kept, exit code 1.
"""

import sys
import time
from pathlib import Path

from chainperp.base.errors import ChainperpError, NotFound
from chainperp.client.log import Contradiction, follow, open_log
from chainperp.evidence.note import parse_vkey
from chainperp.storage.logkey import verify_ed25519


def poll(source: str, kept: Path) -> str:
    """Check the checkpoint of now against the one kept, then keep it instead."""
    fetch = open_log(source)
    known = kept.read_bytes() if kept.exists() else fetch("vkey")
    if known is None:
        raise NotFound("the log does not say its key; put it into KEPT as the first line")
    vkey, _newline, seen = known.partition(b"\n")
    checkpoint, note = follow(fetch, parse_vkey(vkey.decode()), verify_ed25519, seen or None)
    kept.write_bytes(vkey + b"\n" + note)
    what = "continues the one before" if seen else "is the first one seen"
    return f"size {checkpoint.size} of {checkpoint.origin} {what}"


def main(source: str, kept: Path, seconds: float, times: int) -> int:
    """Poll so many times, or for ever when `times` is 0. 0 when the last poll went well."""
    code, done = 1, 0
    while times == 0 or done < times:
        if done:
            time.sleep(seconds)
        done += 1
        try:
            print(poll(source, kept), flush=True)
            code = 0
        except Contradiction as error:
            conflict = kept.with_name(kept.name + ".conflict")
            conflict.write_bytes(b"\n".join(error.notes))
            print(f"SPLIT VIEW: {error}\nShow both signed notes to everybody: {conflict}")
            return 1
        except (ChainperpError, OSError, UnicodeDecodeError) as error:
            print(f"not followed: {error}", file=sys.stderr, flush=True)
            code = 1
    return code


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    every, count = ([*sys.argv[3:], "30", "0"] if len(sys.argv) < 4 else [*sys.argv[3:], "0"])[:2]
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(every), int(count)))
