"""Contestants that are other people's trainers. Each function makes a Round: so many steps, to microseconds a step.

All of them train as their documentation shows, without bars; what they log and save by default stays on.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.contest import Round
from benchmarks.peers.loops import torchvision_loader
from benchmarks.peers.material import BATCH, CLASSES, WORDS, Batches, loss, network, training


def lightning_module(net: nn.Module) -> Any:
    """A LightningModule as the documentation has it, which keeps its seconds of training."""
    import lightning as L

    warnings.simplefilter("ignore")

    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: Any, index: int) -> Tensor:
            x, y = batch
            value = loss(self.net(x), y)
            self.log("train_loss", value)
            return value

        def validation_step(self, batch: Any, index: int) -> None:
            x, y = batch
            self.log("val_loss", loss(self.net(x), y), batch_size=len(y))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters())

        def on_train_start(self) -> None:
            self.start = perf_counter()

        def on_train_batch_end(self, *_: Any) -> None:  # not at the end of all, which saves a checkpoint early
            self.seconds = perf_counter() - self.start

    return Classifier()


def lightning_trainer(folder: str, **options: Any) -> Any:
    """With its own logger and checkpoints, without its bar."""
    import lightning as L

    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return L.Trainer(accelerator="cpu", default_root_dir=folder, **quiet, **options)


def lightning(model: str, loader: bool = False) -> Round:
    """Lightning on in-memory batches or on a DataLoader."""
    module, folder = lightning_module(network(model)), tempfile.mkdtemp()
    batches = torchvision_loader() if loader else Batches(*training(model))

    def work(steps: int) -> float:
        trainer = lightning_trainer(folder, max_epochs=-1, max_steps=steps)
        trainer.fit(module, batches)
        assert trainer.global_step == steps
        return 1e6 * module.seconds / steps

    return work


def keras(model: str) -> Round:
    """Keras 3 on torch, `model.fit` on arrays."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    x, y = (tensor.numpy() for tensor in training(model))
    if model == "LSTM":
        parts = [layers.Embedding(WORDS + 2, 128), layers.LSTM(128, return_sequences=True), layers.GlobalMaxPooling1D()]
    else:
        x = x.reshape(-1, 28, 28, 1)
        convolutions = []
        for channels in (32, 64) if model == "CNN" else ():
            convolutions += [layers.Conv2D(channels, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
        widths = {"logreg": (), "MLP": (256, 128), "CNN": (128,)}[model]
        parts = [*convolutions, layers.Flatten(), *(layers.Dense(width, activation="relu") for width in widths)]
    net = keras.Sequential([*parts, layers.Dense(CLASSES)])
    net.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds = perf_counter() - self.start

    def work(steps: int) -> float:
        epochs, per_epoch = epochs_of(steps, len(y))
        seconds = 0.0
        for _ in range(epochs):
            clock = Clock()
            some = slice(per_epoch * BATCH)
            net.fit(x[some], y[some], batch_size=BATCH, epochs=1, verbose=0, callbacks=[clock])
            seconds += clock.seconds
        return 1e6 * seconds / (epochs * per_epoch)

    return work


def epochs_of(steps: int, examples: int) -> tuple[int, int]:
    """As many epochs as are needed for so many steps, and the steps of each."""
    epochs = -(-steps // (examples // BATCH))
    return epochs, steps // epochs


def skorch(model: str) -> Round:
    """skorch with in-memory batches for its iterator."""
    import skorch

    x, y = training(model)

    class Iterator(Batches):
        def __init__(self, dataset: Any, batch_size: int) -> None:
            super().__init__(x, y, net.steps)

    net = skorch.NeuralNetClassifier(
        network(model),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=BATCH,
        max_epochs=1,
        train_split=None,
        iterator_train=Iterator,
        verbose=0,
    )
    net.initialize()
    net.steps = 1  # of an epoch

    def work(steps: int) -> float:
        epochs, per_epoch = epochs_of(steps, len(y))
        net.max_epochs, net.steps = epochs, per_epoch
        start = perf_counter()
        net.partial_fit(x, y)
        return 1e6 * (perf_counter() - start) / (epochs * per_epoch)

    return work


def fastai(model: str) -> Round:
    """fastai with in-memory batches for its loader."""
    from fastai.callback.core import Callback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    class Loader(Batches):
        device, n_inp, show_batch = torch.device("cpu"), 1, None

        def to(self, device: Any) -> Loader:
            return self

    class Clock(Callback):
        def before_train(self) -> None:
            self.start = perf_counter()

        def after_train(self) -> None:
            self.seconds = getattr(self, "seconds", 0.0) + perf_counter() - self.start

    x, y = training(model)
    loader = Loader(x, y)
    learner = Learner(DataLoaders(loader, Loader(x, y, 0)), network(model), loss_func=nn.CrossEntropyLoss())

    def work(steps: int) -> float:
        epochs, per_epoch = epochs_of(steps, len(y))
        loader.steps, clock = per_epoch, Clock()
        with learner.no_logging():
            learner.fit(epochs, cbs=[clock])
        return 1e6 * clock.seconds / (epochs * per_epoch)

    return work
