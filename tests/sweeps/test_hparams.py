"""TensorBoard's HParams tab over a sweep's folder: a row for each job, read as the tab reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from dlkit.cli.train import main

JOBS = {"model=logreg,optim.lr=0.1": "logreg", "model=mlp,optim.lr=0.1": "mlp"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of two jobs."""
    folder = tmp_path_factory.mktemp("sweep")
    for name, model in JOBS.items():
        words = [f"model={model}", "optim.lr=0.1", "data=iris", "trainer.epochs=2", "trainer.device=cpu"]
        with pytest.raises(SystemExit) as end:
            main([*words, "callbacks.progress=null", "callbacks.tensorboard.graph=false", f"run_dir='{folder / name}'"])
        assert end.value.code == 0
    return folder


@pytest.fixture(scope="module")
def tab(sweep: Path) -> Any:
    """What the tab shows: (experiment, session groups)."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(sweep))
    multiplexer.Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(sweep))))
    statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, allowed_statuses=statuses)
    groups = list_session_groups.Handler(RequestContext(), context, "", request).run()
    metadata = context.hparams_metadata(RequestContext(), "")
    return context.experiment_from_metadata(RequestContext(), "", True, metadata, []), groups.session_groups


def test_each_job_is_one_row_with_what_was_swept_also_of_groups(tab: Any) -> None:
    _, rows = tab
    shown = {row.sessions[0].name: row.hparams["model"].string_value for row in rows}
    assert shown == JOBS
    assert all(row.hparams["optim.lr"].number_value == 0.1 for row in rows)


def test_what_differs_between_jobs_comes_first(tab: Any) -> None:
    experiment, _ = tab
    differing = [info.name for info in experiment.hparam_infos if info.differs]
    assert [info.name for info in experiment.hparam_infos][: len(differing)] == differing
    assert "model" in differing
    assert not {"optim.lr", "data", "run_dir"} & set(differing)
    assert {"optim.lr", "data", "model.hidden", "seed"} <= {info.name for info in experiment.hparam_infos}


def test_the_rows_hold_the_final_and_the_best_figures(tab: Any, sweep: Path) -> None:
    _, rows = tab
    for row in rows:
        figures = {metric.name.tag: metric.value for metric in row.metric_values}
        result = json.loads((sweep / row.sessions[0].name / "result.json").read_text())
        assert figures["test/accuracy"] == pytest.approx(result["metrics"]["test/accuracy"])
        assert figures["val/loss"] == pytest.approx(result["metrics"]["val/loss"])
        assert figures["test_best/accuracy"] == pytest.approx(result["best"]["metrics"]["test/accuracy"])
        assert figures["val_best/loss"] == pytest.approx(result["best"]["metrics"]["val/loss"])


def test_no_job_makes_a_second_run_for_its_options(sweep: Path) -> None:
    with_events = {path.parent.relative_to(sweep).as_posix() for path in sweep.rglob("events.out.*")}
    assert with_events == set(JOBS)
