"""The table of what is offered says what the code does."""

from pathlib import Path
from typing import get_args

from chainperp.chain.decode import decode_action
from chainperp.model.actions import NotOffered
from chainperp.node.compatibility import REFUSED, action_rows, markdown
from chainperp.wire.actions import SHAPES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"


def test_the_page_is_generated() -> None:
    """`make compatibility` was run after the last change."""
    assert PAGE.read_text(encoding="utf-8") == markdown()


def test_every_action_is_graded_once() -> None:
    """No action of the wire is missing, none is named that does not exist."""
    assert [name for name, _, _ in action_rows()] == sorted(SHAPES)
    assert set(REFUSED) <= set(SHAPES)


def test_what_is_called_refused_is_not_decoded() -> None:
    """An action without a decoder becomes NotOffered under both schemes."""
    for name in REFUSED:
        for scheme in (1, 2):
            assert isinstance(decode_action({"type": name}, scheme), NotOffered), name


def test_grades_are_words_of_the_page() -> None:
    """Only three grades exist."""
    from chainperp.node.info.registry import Grade

    assert {grade for _, grade, _ in action_rows()} <= set(get_args(Grade))
