"""The log: to the terminal at once, to the file as soon as there is one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table

from dlkit.log import Log, log


@pytest.fixture
def opened() -> Iterator[Log]:
    made = Log()
    yield made
    made.close()


def test_the_file_begins_with_what_was_said_before_it_was_opened(opened: Log, tmp_path: Path) -> None:
    log.info("before %d", 1)
    opened.open(tmp_path / "train.log")
    log.info("after")
    assert (tmp_path / "train.log").read_text() == "before 1\nafter\n"


def test_the_terminal_has_it_at_once(opened: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("hello")
    assert capsys.readouterr().out == "hello\n"


def test_an_older_file_is_continued(opened: Log, tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("first run\n")
    opened.open(tmp_path / "train.log")
    log.info("resumed")
    assert (tmp_path / "train.log").read_text() == "first run\nresumed\n"


def test_warnings_and_errors_say_what_they_are(opened: Log, tmp_path: Path) -> None:
    opened.open(tmp_path / "train.log")
    logging.getLogger("other").warning("careful")
    log.error("broken")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("of Python", stacklevel=1)
    assert (tmp_path / "train.log").read_text() == "warning: careful\nerror: broken\nwarning: of Python\n"


def test_tables_are_drawn_and_brackets_are_no_markup(opened: Log, tmp_path: Path) -> None:
    opened.open(tmp_path / "train.log")
    table = Table("layer", box=None)
    table.add_row("linear")
    log.info(table)
    log.info("optim.betas=[red]")
    text = (tmp_path / "train.log").read_text()
    assert "linear" in text
    assert "rich.table" not in text
    assert text.endswith("optim.betas=[red]\n")


def test_long_lines_are_not_broken(opened: Log, tmp_path: Path) -> None:
    opened.open(tmp_path / "train.log")
    log.info("word " * 100)
    assert len((tmp_path / "train.log").read_text().splitlines()) == 1


def test_details_of_libraries_are_left_out(opened: Log, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("other").debug("detail")
    assert capsys.readouterr().out == ""


def test_a_logged_exception_has_its_traceback(opened: Log, tmp_path: Path) -> None:
    opened.open(tmp_path / "train.log")
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("it failed")
    assert "KeyError: 'missing'" in (tmp_path / "train.log").read_text()


def test_closing_puts_everything_back() -> None:
    before = (logging.root.handlers[:], logging.root.level, warnings.showwarning)
    made = Log()
    assert logging.root.handlers != before[0]
    made.close()
    assert (logging.root.handlers, logging.root.level, warnings.showwarning) == before
