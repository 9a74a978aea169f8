"""Initial weights: `(model, batch) -> None`, in place, once, before compile.

They fill the weights of linear, convolutional, recurrent and embedding layers; biases become 0, norms are left alone. n
is the fan-in, the inputs of one unit; of a recurrent layer each gate counts by itself, and an embedding's n is its
width, so that a word's vector has the length that a unit's weights have elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.types import Batch, NonNegative, Positive

Distribution = Literal["uniform", "normal"]
Gain = Positive | Literal["auto"]
Layer = nn.Linear | nn.modules.conv._ConvNd | nn.Embedding | nn.RNNBase | nn.RNNCellBase
FEEDFORWARD = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
PASSIVE = (
    "batchnorm",
    "container",
    "dropout",
    "flatten",
    "instancenorm",
    "linear",
    "normalization",
    "padding",
    "pooling",
)


def default(model: nn.Module, batch: Batch) -> None:
    """What torch's layers do by themselves: U(−1/√n, 1/√n), n the fan-in (recurrent: the units); embeddings N(0, 1)."""


def constant(model: nn.Module, batch: Batch, *, value: float = 0.01) -> None:
    """Every weight the same. All units of a hidden layer then compute, and learn, the same: they stay one unit."""
    _fill(model, lambda weight, gain: weight.fill_(value))


def normal(model: nn.Module, batch: Batch, *, std: Positive = 1.0) -> None:
    """N(0, std²), whatever the layer's size."""
    _fill(model, lambda weight, gain: weight.normal_(0, std))


def uniform(model: nn.Module, batch: Batch, *, a: Positive = 0.1) -> None:
    """U(−a, a), of variance a²/3, whatever the layer's size."""
    _fill(model, lambda weight, gain: weight.uniform_(-a, a))


def lecun(model: nn.Module, batch: Batch, *, distribution: Distribution = "normal") -> None:
    """LeCun et al. 1998, section 4.6: variance `1/n`, which keeps the variance through linear layers.

    Some courses call N(0, 1/n) Xavier's; Glorot's own rule is `xavier`.
    """
    _fill(model, lambda weight, gain: _draw(weight, 1 / sqrt(_fan_in(weight)), distribution))


def xavier(model: nn.Module, batch: Batch, *, distribution: Distribution = "uniform", gain: Gain = 1.0) -> None:
    """Glorot and Bengio 2010, eq. 16: variance `gain² · 2/(fan_in + fan_out)`, made for tanh and sigmoid layers.

    gain `auto`: by the activation before the layer, see `gain_of`.
    """
    fill = nn.init.xavier_uniform_ if distribution == "uniform" else nn.init.xavier_normal_
    _fill(model, lambda weight, gain: fill(weight, gain=gain), gain)


def kaiming(
    model: nn.Module, batch: Batch, *, distribution: Distribution = "normal", gain: Gain | Literal["relu"] = "relu"
) -> None:
    """He et al. 2015, eq. 10: variance `gain²/n`; with ReLU's gain √2 it keeps the second moment through ReLU layers.

    gain `auto`: by the activation before the layer, see `gain_of`.
    """
    factor: Gain = sqrt(2) if gain == "relu" else gain
    _fill(model, lambda weight, gain: _draw(weight, gain / sqrt(_fan_in(weight)), distribution), factor)


def orthogonal(model: nn.Module, batch: Batch, *, gain: Gain = 1.0) -> None:
    """Saxe et al. 2014: `gain` times a random matrix with orthonormal rows, or columns where there are more rows.

    A filter's weights are one row. gain `auto`: by the activation before the layer, see `gain_of`.
    """
    _fill(model, lambda weight, gain: nn.init.orthogonal_(weight, gain), gain)


def lsuv(model: nn.Module, batch: Batch) -> None:
    """Mishkin and Matas 2016: orthogonal, then each layer scaled so that its output on the batch has variance 1.

    With biases 0 the output is linear in the weights, so one pass through the net, layer after layer, is enough.
    Recurrent layers, whose outputs are not, stay orthogonal.
    """
    orthogonal(model, batch)
    scaled: set[nn.Module] = set()

    def scale(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        std = output.std(correction=0)
        if layer in scaled or not std > 0:  # shared by several places, or fed with zeros only
            return output
        scaled.add(layer)
        layer.weight.div_(std)  # type: ignore[operator]
        return output / std

    hooks = [layer.register_forward_hook(scale) for layer in model.modules() if isinstance(layer, FEEDFORWARD)]
    mode = model.training
    try:
        with torch.no_grad():
            model.eval()(batch.x)
    finally:
        model.train(mode)
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def whiten(model: nn.Module, batch: Batch) -> None:
    """The first convolution makes the patches it sees uncorrelated, and is frozen (Jordan 2024, section 3.2).

    Its filters are `v/√(λ + 5·10⁻⁴)` for the eigenvectors v of the patches' second moments `E[p pᵀ]` over the batch, λ
    the eigenvalues, largest first; then the same with the other sign, so that nothing is lost behind an activation. Its
    biases become 0, all else stays as torch's layers do. Raises ValueError for a layer that cannot be filled so.
    """
    layer = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if layer is None or layer.groups > 1:
        raise ValueError("init=whiten: this model has no convolution of images to begin with; try model=airbench")
    size = layer.weight[0].numel()
    if layer.out_channels % 2 or layer.out_channels > 2 * size:
        raise ValueError(
            f"init=whiten: the first convolution has {layer.out_channels} filters of {size} numbers; expected an even "
            f"count of at most {2 * size}, each direction with both signs; try model=airbench"
        )
    enough = max(1, 2**24 // (size * batch.x[0, 0].numel()))  # images: 128 MB of patches
    x = batch.x[:enough].cpu().double()  # a GPU's TensorFloat-32 would lose the smallest eigenvalues
    patches = F.unfold(x, layer.kernel_size).transpose(0, 1).flatten(1)  # (C·k·k, N)
    values, vectors = torch.linalg.eigh(patches @ patches.T / patches.shape[1])
    filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)[: layer.out_channels // 2]
    layer.weight.copy_(torch.cat([filters, -filters]).view_as(layer.weight))
    layer.weight.requires_grad_(False)
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def finish(model: nn.Module, *, forget_bias: float | None = None) -> None:
    """Sets the bias of every LSTM's forget gate; 1 keeps the memory open at first (Jozefowicz et al. 2015).

    torch has two biases where the equations have one: the other becomes 0. null leaves both as the scheme has them.
    """
    if forget_bias is None:
        return
    for layer in model.modules():
        if isinstance(layer, nn.LSTM | nn.LSTMCell):
            forget = slice(layer.hidden_size, 2 * layer.hidden_size)  # torch's order of gates: i, f, g, o
            for name, bias in layer.named_parameters(recurse=False):
                if name.startswith("bias"):
                    bias[forget] = forget_bias if name.startswith("bias_ih") else 0.0


@torch.no_grad()
def gain_of(activation: nn.Module, units: int, device: torch.device | None = None) -> float:
    """`1/√E[φ(z)²]` for z ~ N(0, 1): what a layer fed by the activation φ needs for outputs as large as z.

    √2 for ReLU, as He et al. 2015; 1.59 for tanh, where 5/3 is customary. Estimated from 2¹⁷ numbers, to about 0.5 %.
    """
    z = torch.randn(max(1, 2**17 // units), units, generator=torch.Generator().manual_seed(0)).to(device)
    moment = activation(z).square().mean().item()
    return 1 / sqrt(moment) if moment > 0 else 1.0


@torch.no_grad()
def _fill(model: nn.Module, fill: Callable[[Tensor, float], object], gain: Gain = 1.0) -> None:
    for layer, automatic in _layers(model, gain == "auto"):
        own = automatic if gain == "auto" else gain
        for name, parameter in layer.named_parameters(recurse=False):
            if name.startswith("bias"):
                parameter.zero_()
                continue
            gates = max(1, len(parameter) // layer.hidden_size) if isinstance(layer, RECURRENT) else 1
            for part in parameter.chunk(gates):
                fill(part, own)
        if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
            layer.weight[layer.padding_idx] = 0


def _layers(model: nn.Module, gains: bool) -> Iterator[tuple[Layer, float]]:
    """Every layer with weights, and if `gains` that of the activation before it, in the order of the modules."""
    units, gain = 1, 1.0
    for module in model.modules():
        if isinstance(module, Layer):
            yield module, gain if isinstance(module, FEEDFORWARD) else 1.0
            units, gain = len(next(module.parameters())), 1.0
        elif gains and not any(module.children()) and _acts(module):
            gain = gain_of(module, units, next(model.parameters()).device)


def _acts(module: nn.Module) -> bool:
    """Whether a module without parts is more than a norm, a pooling and the like, told by its file."""
    package, _, file = type(module).__module__.rpartition(".")
    if package == "torch.nn.modules":
        return file not in PASSIVE
    return file == "activations" or package not in ("dlkit.models", "torchaudio.transforms")


def _fan_in(weight: Tensor) -> int:
    return weight[0].numel()


def _draw(weight: Tensor, std: NonNegative, distribution: Distribution) -> Tensor:
    """Fills with mean 0 and this standard deviation."""
    bound = sqrt(3) * std
    return weight.normal_(0, std) if distribution == "normal" else weight.uniform_(-bound, bound)
