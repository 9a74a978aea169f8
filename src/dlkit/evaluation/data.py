"""Data for a trained model: the run's own, or other data of the same kind, with what was raw at hand."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from dlkit.build import features_once
from dlkit.data.audio.waves import Waves
from dlkit.data.examples import SPLITS, Examples
from dlkit.data.prepare import load
from dlkit.data.splits import places
from dlkit.data.tables.columns import Columns
from dlkit.parts import data_parts, uses_channels_last
from dlkit.trained import RAW, Trained
from dlkit.types import Data

FILES = ("path", "val_path", "test_path", "split")  # of a source: options that say where splits come from
PLACES = ("val_fraction", "test_fraction", "fold", "folds")  # of `load`: what `places` takes too


@dataclass
class Seen:
    """Data that a trained model is to see."""

    data: Data
    examples: Examples  # raw, with the classes of training
    places: dict[str, tuple[str, Tensor]]  # of each split: the set's own split, and the rows in it
    name: str  # of other data than the run's own; "" for that

    def raw(self, split: str, rows: Tensor) -> Any:
        """The raw examples in these rows (n,) of a split."""
        own, places = self.places[split]
        return self.examples.splits[own][0][places[rows]]

    def names(self, split: str, rows: Tensor) -> list[str]:
        """Where these examples come from: a file, or a line of one; their numbers where that is not known."""
        own, places = self.places[split]
        known = self.examples.names.get(own)
        return [known[i] if known else str(i) for i in places[rows].tolist()]

    def chosen(self, split: str | None) -> list[str]:
        """The splits to look at: the one named, or `all`; without a name the test split, and where there is none all
        of other data, the validation or the training split of the run's own. Raises ValueError for a name unknown."""
        there = [name for name in SPLITS if name in self.places]
        if split == "all":
            return there
        if split is not None and split not in there:
            raise ValueError(f"--split {split}: there is no such split; there are {', '.join(there)}, and all")
        if split is not None or "test" in there:
            return [split or "test"]
        return there if self.name else [next(name for name in ("val", "train") if name in there)]


def read(trained: Trained, node: DictConfig | None = None) -> Seen:
    """The run's own data, or that of another `data` node of a config, encoded as in training; nothing is fitted."""
    cfg = trained.config
    if node is not None:
        cfg = cfg.copy()
        cfg.data = adapted(trained, node)
    source, options = data_parts(cfg)
    examples = trained.fitted.classed(source())
    trainer = trained.trainer
    data = load(
        examples,
        **options,
        seed=cfg.seed,
        device=trained.measure.device,
        overfit_batches=0 if node is not None else trainer.overfit_batches,
        limit_batches=0 if node is not None else trainer.limit_batches,
        trained=trained.fitted,
    )
    if uses_channels_last(trained.model, trainer):
        data.use_channels_last()
    features_once(trained.model, data)
    rows = places(examples, **{name: options[name] for name in PLACES if name in options}, seed=cfg.data.split_seed)
    return Seen(data, examples, rows, "" if node is None else _name(node))


def adapted(trained: Trained, node: DictConfig) -> DictConfig:
    """The node with what the model knows of its data in the place of what would be found out anew, and no splitting.

    Raises ValueError for data of another kind, which another encoder is for.
    """
    source = inspect.signature(get_object(node._target_)).parameters
    own = trained.config.data
    encoder, other = own.get("encoder"), node.get("encoder")
    if encoder and other and encoder != other:
        kind = RAW.get(trained.spec.kind, trained.spec.kind)
        raise ValueError(f"data={_source(node)}: another kind of data; this model takes {kind} inputs")
    kept = inspect.signature(get_object(encoder)).parameters if encoder else {}
    values: dict[str, Any] = {key: own[key] for key in ("encoder", *kept) if key in own}
    values |= {key: value for key, value in known(trained).items() if key in source}
    values |= {"val_fraction": 0, "test_fraction": 0, "fold": None, "augment": None}
    values |= {"group": None} if "group" in source else {}
    made = {key: value for key, value in OmegaConf.to_container(node).items() if key != "encoder"}  # type: ignore
    return OmegaConf.create(made | values)


def known(trained: Trained) -> dict[str, Any]:
    """Options of sources that are decided once a model is trained."""
    spec, encoder = trained.spec, trained.encoder
    values: dict[str, Any] = {"task": spec.task}
    if spec.task == "classification":
        values["classes"] = list(spec.classes)
    if spec.kind == "image":
        values |= {"size": spec.input_shape[-1], "mode": "grey" if spec.input_shape[0] == 1 else "rgb"}
    if isinstance(encoder, Waves) and spec.sample_rate:
        samples = encoder.samples
        values |= {"sample_rate": spec.sample_rate, "seconds": samples / spec.sample_rate if samples else None}
    if isinstance(encoder, Columns) and (encoder.number_names or encoder.word_names):
        numbers, words = list(encoder.number_names), list(encoder.word_names)
        values |= {"columns": [*numbers, *words], "numeric": numbers, "categorical": words, "ignore": []}
    return values


def without_old_files(node: DictConfig, words: Sequence[str]) -> DictConfig:
    """A run's data node with another `path`: the files and the column of its other splits are those of the old one."""
    given = {word.partition("=")[0].removeprefix("data.") for word in words}
    if "path" not in given:
        return node
    return OmegaConf.merge(node, {key: None for key in FILES if key in node and key not in given})  # type: ignore


def _name(node: DictConfig) -> str:
    """What the files of a report are named after: the data's folder or file, else its source."""
    place = node.get("path") or node.get("root")
    shared = place is None or node._target_.rpartition(".")[0].endswith("known")
    return _source(node) if shared else Path(str(place)).name.partition(".")[0]


def _source(node: DictConfig) -> str:
    return str(node._target_).rpartition(".")[2]
