"""The report of an evaluation: figures, pictures and the worst errors, printed and written into files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from rich.text import Text

from dlkit.answers import Row, in_own_unit, predicted_classes, probabilities, worst_classes, worst_numbers
from dlkit.calibration import reliability_bins
from dlkit.data.raw import Files, Texts
from dlkit.data.scale import Scale
from dlkit.evaluation import figures
from dlkit.evaluation.data import Seen
from dlkit.evaluation.outputs import Outputs, outputs
from dlkit.evaluation.worst import write_csv
from dlkit.log import log
from dlkit.plots.gallery import gallery
from dlkit.plots.matrix import confusion
from dlkit.plots.numbers import predicted
from dlkit.plots.reliability import reliability
from dlkit.plots.style import save
from dlkit.rundir import write_json
from dlkit.trained import Trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_CLASSES, SHOWN_ERRORS, SHOWN_TEXT = 30, 5, 60  # rows of the printed tables, letters of a text
NAMES = {  # of figures, as they are printed
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "precision (macro)",
    "macro_recall": "recall (macro)",
    "macro_f1": "F1 (macro)",
    "weighted_precision": "precision (weighted)",
    "weighted_recall": "recall (weighted)",
    "weighted_f1": "F1 (weighted)",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


@dataclass
class Report:
    """What was found on some splits."""

    label: str  # of its files
    content: dict[str, Any]  # of the JSON file
    worst: list[Row]
    names: list[str]  # where the worst come from
    raw: Any  # the raw examples of the worst, in pieces of one split each
    pictures: dict[str, Figure]


def make(trained: Trained, seen: Seen, splits: Sequence[str]) -> Report:
    """Measures the model on the splits, taken as one."""
    found = outputs(trained, seen, splits)
    split = splits[0] if len(splits) == 1 and not (seen.name and len(seen.places) == 1) else "all"
    if trained.spec.task == "classification":
        measured, worst, drawn = _of_classes(trained, found)
    else:
        measured, worst, drawn = _of_numbers(trained, found)
    where = [found.rows[row["index"]] for row in worst]
    for row, (name, index) in zip(worst, where, strict=True):
        row |= {"split": name, "index": index}
    names = [seen.names(name, torch.tensor([index]))[0] for name, index in where]
    raw = [seen.raw(name, torch.tensor([index])) for name, index in where]
    content = {
        "weights": trained.weights,
        "step": trained.step,
        "data": seen.name or None,
        "split": split,
        "metrics": found.metrics,
        **measured,
        "worst": [{"name": name} | row for name, row in zip(names, worst, strict=True)],
    }
    return Report("-".join(filter(None, (seen.name, split))), content, worst, names, raw, drawn)


def _of_classes(trained: Trained, found: Outputs) -> tuple[dict[str, Any], list[Row], dict[str, Figure]]:
    y, scores, classes = found.y.numpy(), found.out.double().numpy(), trained.spec.classes
    shares = probabilities(trained.measure.loss, found.out.double())
    p = None if shares is None else shares.numpy()
    measured = figures.classification(y, scores, p, classes)
    drawn = {"confusion": confusion(measured["confusion"], classes)}
    if p is not None:
        drawn["reliability"] = reliability(*reliability_bins(p.max(1), predicted_classes(scores) == y))
    return measured, worst_classes(y, scores, p, classes), drawn


def _of_numbers(trained: Trained, found: Outputs) -> tuple[dict[str, Any], list[Row], dict[str, Figure]]:
    y, out = (in_own_unit(trained.spec, numbers).numpy() for numbers in (found.y, found.out))
    return figures.regression(y, out), worst_numbers(y, out), {"predicted": predicted(y, out)}


def write(report: Report, trained: Trained, seen: Seen, folder: Path) -> list[Path]:
    """Writes the files of the report; which they are."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"evaluation-{report.label}.json"]
    write_json(report.content, files[0])
    texts = [one.texts[0] for one in report.raw] if seen.examples.kind == "text" else None
    drawn = dict(report.pictures)
    if seen.examples.kind == "image" and report.worst:
        drawn["worst"] = gallery(_pixels(trained, report.raw), _captions(report))
    for name, figure in drawn.items():
        for ending in ("png", "svg"):
            files.append(folder / f"{name}-{report.label}.{ending}")
            save(figure, files[-1])
    files.append(folder / f"worst-{report.label}.csv")
    write_csv(files[-1], report.worst, names=report.names, texts=texts)
    return files


def _pixels(trained: Trained, raw: Sequence[Any]) -> Any:
    """Images float (n, C, H, W) from 0 to 1, also those that are read from files."""
    pixels = torch.cat([one.read(one.paths[0])[None] if isinstance(one, Files) else one for one in raw]).float()
    low, high = trained.encoder.range if isinstance(trained.encoder, Scale) else (pixels.min(), pixels.max())
    return ((pixels - low) / max(high - low, 1e-12)).clamp(0, 1).numpy()


def _captions(report: Report) -> list[str]:
    sure = [row.get("p_predicted", row.get("margin", 0.0)) for row in report.worst]
    return [f"{row['true']} → {row['predicted']} {p:.2f}" for row, p in zip(report.worst, sure, strict=True)]


def show(report: Report, trained: Trained, seen: Seen, files: Sequence[Path]) -> None:
    """Prints the figures, those of the classes, the first of the worst errors, and where the files are."""
    content = report.content
    which = f"{content['split']} split" if content["split"] != "all" else "all splits" if len(seen.places) > 1 else ""
    weights = f"weights {content['weights']} (step {content['step']:,})"
    log.info(
        "%s: %s", trained.folder, ", ".join(filter(None, (seen.name, which, f"{content['n']:,} examples", weights)))
    )
    log.info(_figures_table(content))
    for line in _left_out(content["left_out"]):
        log.info(line)
    if "classes" in content:
        log.info("")
        log.info(_class_table(content["classes"]))
    if report.worst:
        log.info("")
        log.info(_worst_table(report))
    log.info("\nfiles   %s", "\n        ".join(map(str, files)))


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _figures_table(content: dict[str, Any]) -> Table:
    table = _table("", "", "95 % interval")
    for key, name in NAMES.items():
        if content.get(key) is not None:
            low, high = content["intervals"].get(key, (None, None))
            table.add_row(name, _number(content[key]), f"{_number(low)} – {_number(high)}" if low is not None else "")
    return table


def _left_out(reasons: dict[str, str]) -> Iterator[str]:
    """A line for each reason, with what is left out for it: figures, or intervals of some."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for name, why in reasons.items():
        figure = name.removeprefix("interval of ")
        by_reason.setdefault(("intervals of " if figure != name else "", why), []).append(NAMES.get(figure, figure))
    for (what, why), names in by_reason.items():
        yield f"{what}{', '.join(names)} left out: {why}"


def _class_table(classes: Sequence[dict[str, Any]]) -> Table:
    """All classes, or those with the lowest F1 where they are too many."""
    shown = classes
    if len(classes) > SHOWN_CLASSES:
        shown = sorted(classes, key=lambda row: row["f1"])[:SHOWN_CLASSES]
    more = f" (lowest F1 of {len(classes)})" if len(shown) < len(classes) else ""
    table = _table(f"class{more}", "precision", "recall", "F1", "examples")
    for row in shown:
        values = [_number(row[key]) for key in ("precision", "recall", "f1")]
        table.add_row(_plain(row["class"]), *values, f"{row['support']:,}")
    return table


def _worst_table(report: Report) -> Table:
    keys = [key for key in report.worst[0] if key not in ("index", "split", "true", "predicted")]
    table = _table("worst errors", "true", "predicted", *(key.replace("_", " ") for key in keys))
    table.columns[0].overflow = "fold"
    described = any(isinstance(one, Texts) for one in report.raw)
    if described:
        for column in table.columns:
            column.no_wrap = True
        table.add_column("")  # the one that is cut on a narrow terminal
    for row, name, raw in list(zip(report.worst, report.names, report.raw, strict=True))[:SHOWN_ERRORS]:
        cells = [_plain(row[key]) if isinstance(row[key], str) else _number(row[key]) for key in ("true", "predicted")]
        words = " ".join(raw.texts[0].split())[:SHOWN_TEXT] if described else ""
        text = [Text(words, no_wrap=True, overflow="ellipsis")] if described else []
        table.add_row(_plain(name), *cells, *(_number(row[key]) for key in keys), *text)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _plain(text: str) -> str:
    """Brackets are no markup here."""
    return text.replace("[", r"\[")
