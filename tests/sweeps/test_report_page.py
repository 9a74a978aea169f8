"""The page of a report: what is on it, what it needs, and what its pictures show."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from made_sweeps import Swept, figures, make_sweep

from dlkit.sweeps.report import panels, pictures, read
from dlkit.sweeps.report.curves import POINTS, averaged
from dlkit.sweeps.report.figures import Report, report
from dlkit.sweeps.report.page import page
from dlkit.sweeps.report.pictures import Shades

Attributes = list[tuple[str, str | None]]
VOID = {"meta", "link", "br"}


class Parts(HTMLParser):
    """Texts of a page's cells, what it refers to, and the tags that are not closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.refers: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.cells = [cell.strip() for cell in self.cells]

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.refers += [value or "" for key, value in attrs if key in ("href", "src", "xlink:href", "data", "action")]
        if tag in ("td", "th", "tr", "tbody"):  # may be left open
            while self.open and self.open[-1] in {"td": ["td"], "th": ["th"], "tr": ["td", "th", "tr"]}.get(
                tag, ["td", "th", "tr"]
            ):
                self.open.pop()
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] in ("td", "th", "tr") and self.open[-1] != tag:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.refers += [value or "" for key, value in attrs if key in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1] += data


def result(job: dict[str, str]) -> dict[str, object] | None:
    """Rate 10 fails, seed 2 waits."""
    if job.get("optim.lr") == "10":
        return {"status": "failed", "reason": "not finite <b>&</b>", "metrics": {}}
    value = 0.5 + len(job.get("model", "")) / 10 + int(job["seed"]) / 100
    return None if job["seed"] == "2" else figures(value, value - 0.1)


def of(folder: Path, swept: Swept) -> Report:
    sweep = make_sweep(folder / "s", swept, result)
    for job in sweep.iterdir():
        if (job / "result.json").exists():
            rows = [{"step": i, "epoch": i / 2, "val/accuracy": i / 10, "train/loss": 1 / i} for i in range(1, 9)]
            (job / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return report(read.read(sweep))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    swept = {"model": ["mlp", "cnn_rnn"], "optim.lr": ["0.1", "1", "10"], "seed": ["0", "1", "2"]}
    return of(tmp_path_factory.mktemp("page"), swept)


@pytest.fixture(scope="module")
def text(made: Report) -> str:
    return page(made)


def test_the_page_loads_nothing(text: str) -> None:
    links = [link for link in Parts(text).refers if not link.startswith("#")]
    assert all(re.fullmatch(r"data:,|[^:]*/(result\.json|job\.log|train\.log)?|[^:/]*", link) for link in links), links
    assert not re.search(r"@import|url\((?!#)|<(script|img|iframe)[^>]* src", text)
    assert set(re.findall(r'https?://[^\s"<]+', text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_page_is_well_formed(text: str) -> None:
    parts = Parts(text)
    assert (parts.open, parts.wrong) == ([], [])


def test_the_page_shows_the_figures_of_every_group_and_the_best_first(text: str, made: Report) -> None:
    cells = Parts(text).cells
    best = made.groups[0]
    assert best.val.mean is not None and f"{best.val.mean:.4f} ± {best.val.std:.4f}" in cells
    row = re.search(r'<tr class="best">(.*)', text)
    assert row and "cnn_rnn" in row[1]
    assert f"Best: model=cnn_rnn, optim.lr=0.1: test accuracy {best.test.mean:.4f}" in text


def test_the_page_says_which_jobs_failed_and_why_and_escapes_what_they_said(text: str) -> None:
    cells = Parts(text).cells
    assert cells.count("not finite <b>&</b>") == 6
    assert "model=mlp,optim.lr=10,seed=0" in cells and "<b>&</b>" not in text


def test_names_and_values_are_text_wherever_they_stand(tmp_path: Path) -> None:
    found = page(of(tmp_path / "s", {"model": ["<u>a&b<i>", "c"], "seed": ["0", "1"]}))
    parts = Parts(found)
    assert "<u>" not in found and "<u>a&b<i>" in parts.cells and (parts.open, parts.wrong) == ([], [])


def test_names_of_jobs_link_to_their_folders(text: str) -> None:
    assert "model%3Dmlp%2Coptim.lr%3D10%2Cseed%3D0" in Parts(text).refers


def test_every_picture_is_svg_that_can_be_read(text: str) -> None:
    found = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(found) > 6
    for picture in found:
        ElementTree.fromstring(picture.replace("xlink:", "").replace("var(--grid, #dddddd)", "#ddd"))


def words(picture: str) -> list[str]:
    """The texts in a picture."""
    root = ElementTree.fromstring(picture.replace("xlink:", ""))
    return [(one.text or "").strip() for one in root.iter() if one.tag.endswith("text")]


def test_the_heat_map_of_two_options_has_the_mean_of_each_group_and_says_what_failed(made: Report) -> None:
    maps = panels.heat_maps(made)
    assert maps is not None and len(maps.pictures) == 1
    shown = words(maps.pictures[0])
    assert [shown.count(word) for word in ("failed", "0.805", "1.205")] == [2, 2, 2]
    assert {"model", "optim.lr", "mlp", "cnn_rnn", "0.1", "1", "10"} <= set(shown)


def test_more_than_two_options_give_a_heat_map_for_each_combination_of_the_others(tmp_path: Path) -> None:
    swept = {"model": ["mlp", "cnn_rnn"], "optim.lr": ["0.1", "1"], "optim": ["a", "b", "c"], "seed": ["0"]}
    found = of(tmp_path, swept)
    maps = panels.heat_maps(found)
    assert maps is not None and len(maps.pictures) in (2, 3)
    assert "Options together" in page(found)


def test_numbers_that_a_search_drew_have_no_heat_map_of_empty_cells(tmp_path: Path) -> None:
    rates = {f"{rate:.6g}" for rate in np.random.default_rng(0).uniform(0.001, 1, 12)}
    folder = make_sweep(tmp_path / "s", {"optim.lr": sorted(rates), "seed": ["0"]}, result)
    plan = json.loads((folder / "sweep.json").read_text())
    plan["swept"]["model"] = ["mlp", "cnn_rnn"]
    for i, job in enumerate(plan["jobs"]):
        job["overrides"]["model"] = plan["swept"]["model"][i % 2]
    (folder / "sweep.json").write_text(json.dumps(plan))
    found = report(read.read(folder))
    assert panels.heat_maps(found) is None and len(panels.effects(found)) == 2


def test_one_option_has_no_heat_map_and_a_sweep_over_seeds_no_effects(tmp_path: Path) -> None:
    one = page(of(tmp_path / "one", {"model": ["mlp", "cnn_rnn"], "seed": ["0", "1"]}))
    assert "Options together" not in one and "Effects of the options" in one
    none = page(of(tmp_path / "none", {"seed": ["0", "1"]}))
    assert "Effects of the options" not in none and "Learning curves" in none


def test_a_sweep_in_which_no_job_has_begun_has_a_page(tmp_path: Path) -> None:
    assert "No best yet" in page(report(read.read(make_sweep(tmp_path / "s", {"seed": ["0"]}, lambda job: None))))


def test_curves_are_means_and_deviations_over_jobs_as_pandas_has_them() -> None:
    generator = np.random.default_rng(0)
    jobs = [[{"step": step, "x": float(generator.normal())} for step in range(1, 6)] for _ in range(3)]
    jobs[2] = jobs[2][:3]  # one that ended early
    line = averaged(jobs, "x", "step")
    wanted = pd.DataFrame([row for job in jobs for row in job]).groupby("step")["x"].agg(["mean", "std"])
    assert line.x == wanted.index.tolist()
    np.testing.assert_allclose(line.mean, wanted["mean"], rtol=1e-12)
    np.testing.assert_allclose(line.std, wanted["std"], rtol=1e-12)


def test_curves_leave_out_what_is_not_finite_or_has_no_figure() -> None:
    rows = [{"step": 1, "x": 1.0}, {"step": 2, "x": None}, {"step": 3}, {"step": 4, "x": 3.0}]
    assert (averaged([rows], "x", "step").x, averaged([rows], "x", "step").mean) == ([1.0, 4.0], [1.0, 3.0])
    assert averaged([[]], "x", "step").x == []


def test_long_curves_are_drawn_with_few_points() -> None:
    line = averaged([[{"step": i, "x": float(i)} for i in range(10_000)]], "x", "step")
    assert len(line.x) <= POINTS and line.mean == pytest.approx(line.x)


@pytest.mark.parametrize(("worst", "best", "value", "share"), [(0, 1, 0.5, 0.5), (2.0, 1.0, 1.25, 0.75), (0, 1, -9, 0)])
def test_the_better_a_cell_the_darker(worst: float, best: float, value: float, share: float) -> None:
    assert Shades(worst, best).of(value) == share


def test_no_two_of_the_lines_drawn_at_once_look_alike() -> None:
    assert len({pictures.colour(i) for i in range(panels.LINES)}) == panels.LINES
