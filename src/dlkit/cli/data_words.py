"""Words such as `data=image_folder data.root=photos` behind a run: other data for its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from dlkit import runs
from dlkit.cli import preflight
from dlkit.settings import config_folder

if TYPE_CHECKING:
    from dlkit.trained import Trained


def data_node(trained: Trained, words: Sequence[str]) -> DictConfig | None:
    """The `data` node that the words ask for, the run's own with some options replaced, or another choice; None without
    words. Raises ValueError with every mistake in them."""
    from dlkit.evaluation.data import without_old_files

    if not words:
        return None
    for word in words:
        if not word.startswith(("data=", "data.")) or "=" not in word:
            raise ValueError(f"{word}: only data may change after training: data=CHOICE, data.OPTION=VALUE")
    other = any(word.startswith("data=") for word in words)
    if other:
        checked = preflight.check(list(words), config_folder())
    else:
        checked = preflight.check_saved(list(words), runs.read_config(trained.folder))
    if checked.mistakes or checked.config is None:
        raise ValueError("\n".join(preflight.summary(checked.mistakes)) or f"{' '.join(words)}: one data set at a time")
    return checked.config.data if other else without_old_files(checked.config.data, words)
