"""A real node process for tests: started on a free port, asked over sockets, stopped and judged.

A node that is stopped must exit with 0 and must have written nothing to stderr that looks like a
fault. A node that is killed is only reaped: what it left on disk is the test's business.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from chainperp.base.units import address_text
from chainperp.client.wallet import address_of, development_key, sign_action
from chainperp.wire.typed_data import Network

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 60
STOP_SECONDS: Final = 20
ANSWER_SECONDS: Final = 30
POLL_SECONDS: Final = 0.02
LISTENS: Final = re.compile(r"listens on http://([^\s:]+):(\d+)")
FAULTS: Final = (
    "Traceback",
    "Error:",
    "Exception",
    "never awaited",
    "never retrieved",
    "ResourceWarning",
    "fault:",
)
"""What a line of stderr must not hold. Errors of the exchange are answers, not lines."""


class Answered(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its JSON document."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Its body as text."""
        return self.body.decode()


class Account(NamedTuple):
    """A development account: the whole world knows its key."""

    key: bytes
    address: str

    @property
    def secret(self) -> str:
        """The key as clients take it."""
        return "0x" + self.key.hex()


def account(index: int) -> Account:
    """Development account `index`."""
    key = development_key(index)
    return Account(key, address_text(address_of(key)))


class NodeProcess:
    """One node process, from its start to its end."""

    network: Network = "Testnet"

    def __init__(
        self,
        path: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        python: str = sys.executable,
        profile: Path | None = None,
    ):
        self.path = path
        self.errors = path.parent / f"{path.name}.stderr"
        self.first_byte = self.errors.stat().st_size if self.errors.exists() else 0
        module = ["chainperp"] if profile is None else ["tests.load.profiled", str(profile)]
        command = [python, "-W", "default", "-m", *module, "node"]
        command += ["--port", "0", "--dir", str(path), *arguments]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        with self.errors.open("ab") as stderr:
            # Its own process group, so that a kill takes the recovery processes along.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                cwd=ROOT, env=variables, start_new_session=True,
            )  # fmt: skip
        self.host = ""
        self.port = 0
        self._nonce = 0

    # --- its life --------------------------------------------------------------------------------

    def wait_until_it_answers(self, seconds: float = START_SECONDS) -> None:
        """Wait for the address it prints and for a first answer. Fails when the process ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = LISTENS.search(self.stderr())
            if found is not None:
                self.host, self.port = found[1], int(found[2])
                assert self.info("exchangeStatus").status < 500
                return
            assert self.process.poll() is None, f"the node ended at start:\n{self.stderr()}"
            time.sleep(POLL_SECONDS)
        self.kill()
        raise AssertionError(f"no address after {seconds} s:\n{self.stderr()}")

    def stderr(self) -> str:
        """What this process wrote to stderr so far."""
        return self.errors.read_bytes()[self.first_byte :].decode(errors="replace")

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """SIGTERM; it must exit with 0 and have nothing like a fault on stderr."""
        assert self.is_alive(), f"ended by itself: {self.process.returncode}\n{self.stderr()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"does not stop within {STOP_SECONDS} s") from None
        assert code == 0, f"exit {code} on SIGTERM:\n{self.stderr()}"
        self.check_stderr()

    def check_stderr(self) -> None:
        """Nothing on stderr looks like a fault."""
        lines = self.stderr().splitlines()
        found = [line for line in lines if any(word in line for word in FAULTS)]
        assert not found, "\n".join(lines[-40:])

    def kill(self) -> None:
        """SIGKILL to the node and its helpers, at once."""
        if self.is_alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    # --- what it is asked ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Base address, as an unmodified client takes it."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Address of the websocket."""
        return f"ws://{self.host}:{self.port}/ws"

    def connect(self, seconds: float = ANSWER_SECONDS) -> http.client.HTTPConnection:
        """A connection that stays open between requests."""
        return http.client.HTTPConnection(self.host, self.port, timeout=seconds)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """One request over its own connection."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, document: object) -> Answered:
        """POST a JSON document."""
        raw = json.dumps(document).encode()
        return self.request("POST", path, raw, {"Content-Type": "application/json"})

    def info(self, question: str, **fields: object) -> Answered:
        """One question to `/info`."""
        return self.post("/info", {"type": question, **fields})

    def nonce(self) -> int:
        """A nonce that no earlier call returned."""
        self._nonce = max(self._nonce + 1, time.time_ns() // 1_000_000)
        return self._nonce

    def signed(self, who: Account, action: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The signed request of an action, not sent."""
        return sign_action(who.key, action, self.nonce(), self.network, **options)

    def act(self, who: Account, action: dict[str, Any], **options: Any) -> Any:
        """Sign and send an action; the reply's document."""
        answered = self.post("/exchange", self.signed(who, action, **options))
        assert answered.status == 200, answered
        return answered.document


@contextmanager
def running_node(
    path: Path | None = None, *arguments: str, **options: Any
) -> Iterator[NodeProcess]:
    """A node that answers, on a directory of its own or on `path`; stopped and judged at the end.

    Options are those of `NodeProcess`. When the test fails the node is killed and its stderr
    printed, so that the first fault is what the report shows.
    """
    with TemporaryDirectory(prefix="chainperp-node-") as scratch:
        where = Path(scratch) / "chain" if path is None else path
        node = NodeProcess(where, *arguments, **options)
        try:
            node.wait_until_it_answers()
            yield node
            if node.process.returncode is None:
                node.stop()
        except BaseException:
            node.kill()
            sys.stderr.write(node.stderr())
            raise


def limit_order(asset: int, is_buy: bool, price: str, size: str, **options: Any) -> dict[str, Any]:
    """An `order` action with one limit order. Options: tif, cloid, reduce_only."""
    order: dict[str, Any] = {
        "a": asset,
        "b": is_buy,
        "p": price,
        "s": size,
        "r": options.get("reduce_only", False),
        "t": {"limit": {"tif": options.get("tif", "Gtc")}},
    }
    if "cloid" in options:
        order["c"] = options["cloid"]
    return {"type": "order", "orders": [order], "grouping": "na"}
