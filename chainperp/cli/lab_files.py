"""Files that the lab writes."""

from pathlib import Path

from chainperp.base.errors import NotFound


def write_text(path: Path, text: str) -> None:
    """Write a text file with Unix line ends. Raises NotFound when the place is not there."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise NotFound(f"{path} cannot be written: {error.strerror}") from error
