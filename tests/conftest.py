"""Fixtures that tests of several kinds share."""

from tests.support.chain import demo_chain

__all__ = ["demo_chain"]
