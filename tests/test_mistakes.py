"""How commands tell what went wrong."""

from __future__ import annotations

import warnings

import pytest

from dlkit.mistakes import answered


def test_a_warning_is_one_line_without_a_place_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    with answered():
        warnings.simplefilter("always")
        warnings.warn("the last batch is dropped", stacklevel=1)
    assert capsys.readouterr().err == "warning: the last batch is dropped\n"
    assert warnings.showwarning is before
