"""Fixtures that tests of several kinds share."""

import os
from tempfile import TemporaryDirectory

from tests.support import compiled
from tests.support.chain import demo_chain

__all__ = ["demo_chain"]

compiled.install()

# Commands that sign keep nonces; those of tests are nobody's.
_nonces = TemporaryDirectory(prefix="chainperp-nonces-")
os.environ["CHAINPERP_NONCES"] = _nonces.name
os.environ.pop("CHAINPERP_URL", None)
