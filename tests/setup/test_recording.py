"""The picture of the set-up in the docs shows what it prints today."""

import re
from pathlib import Path

from setup import recording
from support import ROOT


def shown(picture: Path) -> list[str]:
    """The texts in a picture, without the ids that a tenant invents."""
    svg = picture.read_text(encoding="utf-8")
    return [re.sub("[0-9a-f]{24}", "ID", text) for text in re.findall(r">([^<>]+)</text>", svg)]


def test_the_picture_of_the_set_up_is_of_today(tmp_path: Path) -> None:
    """If not: `python3 hooks/bootstrap.py run tests/setup/recording.py docs/images/set-up.svg`."""
    recording.main(tmp_path / "set-up.svg")
    assert shown(tmp_path / "set-up.svg") == shown(ROOT / "docs/images/set-up.svg")
