"""Networks of torchvision, fitted to the data."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlkit.log import log
from dlkit.models.fit import needs_image
from dlkit.types import Spec


def torchvision(
    spec: Spec,
    outputs: int,
    *,
    name: str = "resnet18",
    small_images: bool = False,
    weights: str | None = None,
    freeze: bool = False,
) -> nn.Module:
    """Any classification network of torchvision by its name there, with the head and the first filters of the data.

    `small_images` gives a resnet a 3×3 first convolution of stride 1 and no max-pooling (He et al. 2015, section 4.2),
    since otherwise 32×32 pixels are 8×8 before the first block. `weights` is a file with a state dict; what has another
    shape, as the head, stays new, and is named. `freeze` trains only the head and what stayed new; batch norm in the
    rest keeps its statistics. Raises ValueError for a name that torchvision has not, or images that do not suit it.
    """
    needs_image("model=torchvision", spec)
    net = _make(name, spec, outputs)
    if small_images:
        _small_stem(name, net)
    _fit_channels(net, spec.input_shape[0])
    head = [part for part, module in net.named_modules() if module._parameters][-1]
    trained = {f"{head}.{parameter}" for parameter, _ in net.get_submodule(head).named_parameters()}
    if weights is not None:
        taken = _load(net, Path(weights))
        trained |= {parameter for parameter, _ in net.named_parameters() if parameter not in taken}
    if freeze:
        _freeze(net, trained)
    _try(name, net, spec)
    return net


def _make(name: str, spec: Spec, outputs: int) -> nn.Module:
    """torchvision's network with random weights, for images of that size where it must know."""
    from torchvision import models  # 0.5 s

    known = models.list_models(module=models)
    if name not in known:
        match = get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {match[0]}?" if match else f"; it has {', '.join(known)}"
        raise ValueError(f"model.name={name}: torchvision has no such classification network{hint}")
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False}  # their auxiliary heads would give more than one output
    elif name.startswith("vit_"):
        options = {"image_size": spec.input_shape[1]}
    elif name.startswith("maxvit"):
        options = {"input_size": spec.input_shape[1:]}
    try:
        net: nn.Module = models.get_model(name, num_classes=outputs, **options)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise ValueError(_unsuitable(name, spec, error)) from error
    return net


def _small_stem(name: str, net: nn.Module) -> None:
    from torchvision.models import ResNet

    if not isinstance(net, ResNet):
        raise ValueError(f"model.small_images=true: only resnets have this form, {name} has not; leave it false")
    net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()


def _fit_channels(net: nn.Module, channels: int) -> None:
    """Gives the first convolution, which is made for three, so many input channels."""
    place, first = _first_convolution(net)
    if first.in_channels == channels:
        return
    kernel, stride, padding, bias = first.kernel_size, first.stride, first.padding, first.bias is not None
    fitted = nn.Conv2d(channels, first.out_channels, kernel, stride, padding, bias=bias)  # type: ignore[arg-type]
    _replace(net, place, fitted)


def _first_convolution(net: nn.Module) -> tuple[str, nn.Conv2d]:
    return next((place, module) for place, module in net.named_modules() if isinstance(module, nn.Conv2d))


def _replace(net: nn.Module, place: str, module: nn.Module) -> None:
    parent, _, child = place.rpartition(".")
    setattr(net.get_submodule(parent), child, module)


@torch.no_grad()
def _load(net: nn.Module, file: Path) -> set[str]:
    """Copies what fits from the file; the names of it. Filters for colours are summed where images are grey."""
    theirs, mine = _read(file), net.state_dict()
    stem = f"{_first_convolution(net)[0]}.weight"
    if stem in theirs and mine[stem].shape[1] == 1 and theirs[stem].shape[1:] == (3, *mine[stem].shape[2:]):
        theirs[stem] = theirs[stem].sum(1, keepdim=True)  # the same as showing grey in all three channels
    taken = {name for name, tensor in theirs.items() if name in mine and mine[name].shape == tensor.shape}
    if not taken:
        raise ValueError(f"model.weights={file}: none of its tensors fits; it has {', '.join(list(theirs)[:3])}, …")
    for name in taken:
        mine[name].copy_(theirs[name])
    log.info("weights %s: %d tensors fitted", file, len(taken))
    for name in [name for name in mine if name not in taken]:
        there = f"{tuple(theirs[name].shape)} there, {tuple(mine[name].shape)} here" if name in theirs else "not there"
        log.info("  new       %s: %s", name, there)
    return taken


def _read(file: Path) -> dict[str, Tensor]:
    """A state dict, or the model's in a checkpoint of dlkit. Runs no code from the file."""
    if not file.is_file():
        raise ValueError(f"model.weights={file}: there is no such file (a resumed run needs none: model.weights=null)")
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"model.weights={file}: no weights that can be read ({error})".splitlines()[0]) from error
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"model.weights={file}: holds no state dict")
    return dict(weights)


def _freeze(net: nn.Module, trained: set[str]) -> None:
    """Leaves only these parameters to train. Norms without any keep their statistics (`State.train_mode`)."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in trained)


def _try(name: str, net: nn.Module, spec: Spec) -> None:
    """Sends an image through. Raises ValueError where the network wants larger ones."""
    net.eval()
    try:
        with torch.no_grad():
            net(torch.zeros(1, *spec.input_shape))
    except (ValueError, AssertionError, RuntimeError) as error:
        raise ValueError(_unsuitable(name, spec, error)) from error
    net.train()


def _unsuitable(name: str, spec: Spec, error: Exception) -> str:
    height, width = spec.input_shape[1:]
    why = (str(error).splitlines() or ["no reason given"])[0]
    return f"model.name={name} does not take images of {height}x{width}: {why}; resnets take any size"
