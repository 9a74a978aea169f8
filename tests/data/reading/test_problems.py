import pytest

from dlkit.data.reading.problems import SHOWN, Problems


def test_all_problems_are_told_at_once_with_their_places():
    problems = Problems()
    problems.add("a.csv:3", "the text is empty")
    problems.add("b/c.png", "is no image")
    with pytest.raises(ValueError) as error:
        problems.settle()
    assert str(error.value).splitlines() == [
        "2 problems in the data (data.on_error=skip leaves them out):",
        "a.csv:3: the text is empty",
        "b/c.png: is no image",
    ]


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted():
    problems = Problems()
    for line in range(1, 1501):
        problems.add(f"a.csv:{line}", "the text is empty")
    with pytest.raises(ValueError) as error:
        problems.settle()
    lines = str(error.value).splitlines()
    assert lines[0].startswith("1,500 problems") and len(lines) == SHOWN + 2
    assert lines[-2:] == [f"a.csv:{SHOWN}: the text is empty", f"… and {1500 - SHOWN:,} more"]


def test_one_problem_is_told_in_the_singular():
    problems = Problems("raise")
    problems.add("a.csv:3", "the text is empty")
    with pytest.raises(ValueError, match=r"^1 problem in the data"):
        problems.settle()


def test_skipped_problems_are_counted_by_their_reason():
    problems = Problems("skip")
    for where, why in (("a:1", "is empty"), ("a:2", "has no label"), ("a:9", "is empty")):
        problems.add(where, why)
    assert problems.settle() == ("left out 2: is empty; first a:1", "left out 1: has no label; first a:2")


def test_of_very_many_reasons_the_first_are_told_and_the_rest_counted():
    problems = Problems("skip")
    for number in range(50):
        problems.add(f"a:{number}", f"'{number}' is no number")
    notes = problems.settle()
    assert len(notes) == SHOWN + 1 and notes[0] == "left out 1: '0' is no number; first a:0"
    assert notes[-1] == f"left out {50 - SHOWN}: {50 - SHOWN} other reasons"


def test_an_error_says_what_was_skipped_where_too_little_is_left():
    problems = Problems("skip")
    for where, why in (("a:1", "has no label"), ("a:2", "is empty"), ("a:9", "is empty")):
        problems.add(where, why)
    expected = "no rows are left\nleft out 2: is empty; first a:2\nleft out 1: has no label; first a:1"
    assert str(problems.too_few("no rows are left")) == expected
    assert str(Problems().too_few("no rows are left")) == "no rows are left"


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_without_problems_there_is_nothing_to_say(on_error):
    assert Problems(on_error).settle() == ()
