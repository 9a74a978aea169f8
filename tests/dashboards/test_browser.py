"""TensorBoard's page in a browser: what a user sees of a run and of a sweep."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import CHROMIUM, browsed, go
from drawn import digits
from served import served

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
SECONDS = 60_000  # ms that a page may take


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """TensorBoard on a run's own folder."""
    run = digits(tmp_path_factory.mktemp("one") / "run")
    with served(run.folder, runs=1) as page:
        yield page.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with browsed() as page:
        page.set_default_timeout(SECONDS)
        yield page


@pytest.fixture
def opened(address: str, browser: Page) -> Any:
    """Opens a tab."""

    def at(tab: str) -> Page:
        go(browser, address, tab)
        return browser

    return at


def test_time_series_draw_the_curves(opened: Any) -> None:
    page = opened("timeseries")
    page.get_by_role("combobox", name="Filter tags (regex)").fill("(train|val)/loss")
    for figure in ("train/loss", "val/loss"):
        card = page.locator("scalar-card").filter(has_text=figure)
        card.locator("svg path").first.wait_for(state="attached")
        card.get_by_text("80", exact=True).first.wait_for()  # the last step, in the table of values


def test_images_show_the_panels_pictures(opened: Any) -> None:
    page = opened("images")
    for tag in ("val/samples", "val/worst"):
        page.get_by_text(f"tag: {tag}").wait_for()
    picture = page.locator("tf-image-loader img").first
    picture.wait_for()
    page.wait_for_function("one => one.complete && one.naturalWidth > 50", arg=picture.element_handle())


def test_hparams_have_the_run_and_its_model(opened: Any) -> None:
    page = opened("hparams")
    for cell in ("Trial ID", "everything", "val/loss"):
        page.get_by_text(cell, exact=True).first.wait_for()


def test_distributions_are_drawn_for_gradients(opened: Any) -> None:
    page = opened("distributions")
    page.get_by_text("tag: within/gradients/0.weight").wait_for()
    page.locator("vz-distribution-chart path.area").first.wait_for(state="attached")


def test_pr_curves_are_drawn_for_classes(opened: Any) -> None:
    page = opened("pr_curves")
    page.get_by_text("tag: pr_curve/0").wait_for()
    page.locator("tf-pr-curve-card path").first.wait_for(state="attached")


def test_custom_scalars_draw_train_and_validation_in_one_chart(opened: Any) -> None:
    page = opened("custom_scalars")
    page.get_by_text("accuracy", exact=True).first.wait_for()
    page.get_by_text("Matches (2)").first.wait_for()


def test_the_projector_has_all_validation_examples(opened: Any) -> None:
    frame = opened("projector").frame_locator("iframe").frame_locator("iframe")
    frame.get_by_text("Points: 144").wait_for()
    frame.get_by_text("Dimension: 128").wait_for()
    frame.locator("canvas").first.wait_for()


def test_a_sweep_is_a_row_for_each_job_and_their_curves_share_a_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Page
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=digits", "model=logreg,mlp", "trainer.epochs=2", "trainer.device=cpu", "sweep=s"]
    subprocess.run([sys.executable, "-m", "dlkit", "train", "-m", *words], check=True, capture_output=True)
    jobs = {"model=logreg": "logreg", "model=mlp": "mlp"}
    with served(tmp_path / "outputs" / "sweeps" / "s", runs=2) as page:
        rows = page.sessions()
        assert {name: row["hparams"]["model"] for name, row in rows.items()} == jobs
        for name in jobs:
            assert {"train/loss", "val/loss", "val/accuracy", "test/accuracy"} <= page.tags("scalars", name)
        go(browser, page.address, "hparams")
        for name in jobs:
            browser.get_by_text(name, exact=True).first.wait_for()
        go(browser, page.address, "timeseries")
        browser.get_by_role("combobox", name="Filter tags (regex)").fill("val/loss")
        card = browser.locator("scalar-card").filter(has_text="val/loss").first
        for name in jobs:
            card.get_by_text(name, exact=True).first.wait_for()
