"""torchvision's networks: fitted heads and first filters, small images, weights from a file, a frozen backbone."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from dlkit.build import build
from dlkit.cli.preflight import check
from dlkit.models.zoo import torchvision
from dlkit.settings import config_folder
from dlkit.state import State
from dlkit.types import Spec

SMALL = "shufflenet_v2_x0_5"  # 0.3 million weights beside the head, with batch norm


def images(channels: int = 1, size: int = 32) -> Spec:
    return Spec("image", (channels, size, size), 7, "classification")


def in_training(net: nn.Module) -> nn.Module:
    """The network in the mode in which the trainer trains it."""
    optim = torch.optim.SGD(net.parameters())
    State(net, optim, images(3), Path(), total_steps=1, steps_per_epoch=1, batch_size=4).train_mode()
    return net


def original(name: str = SMALL) -> nn.Module:
    from torchvision import models

    return models.get_model(name, num_classes=1000)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file as torchvision's: the state dict of a network of 1000 classes, with statistics of its own."""
    net = original().train()
    with torch.no_grad():
        net(torch.randn(4, 3, 32, 32))
    torch.save(net.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


@pytest.mark.slow
def test_every_network_gives_the_data_s_outputs_from_the_data_s_channels() -> None:
    from torchvision import models

    names = [name for name in models.list_models(module=models) if not name.startswith("regnet")]  # those need numbers
    assert len(names) > 60
    with torch.device("meta"):  # shapes alone
        for name in names:
            net = torchvision(images(2, 224), 7, name=name).train()
            assert net(torch.zeros(3, 2, 224, 224)).shape == (3, 7), name


@pytest.mark.parametrize("name", ["resnet18", "regnet_x_400mf", "squeezenet1_1", "mobilenet_v3_small", "vit_b_32"])
def test_a_network_has_the_data_s_outputs_and_channels(name: str) -> None:
    net = torchvision(images(2), 7, name=name)
    assert net.training
    assert net(torch.randn(3, 2, 32, 32)).shape == (3, 7)


def test_with_three_channels_and_as_many_classes_it_is_torchvision_s_own() -> None:
    torch.manual_seed(1)
    net = torchvision(Spec("image", (3, 32, 32), 1000, "classification"), 1000, name=SMALL)
    torch.manual_seed(1)
    theirs = original()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(net.eval()(x), theirs.eval()(x))
    assert list(net.state_dict()) == list(theirs.state_dict())


def test_the_stem_for_small_images_keeps_their_size() -> None:
    net = torchvision(images(), 7, name="resnet18", small_images=True)
    x = torch.randn(2, 1, 32, 32)
    assert net.maxpool(net.conv1(x)).shape == (2, 64, 32, 32)  # type: ignore[operator]
    plain = torchvision(images(), 7, name="resnet18")
    assert plain.maxpool(plain.conv1(x)).shape == (2, 64, 8, 8)  # type: ignore[operator]


def test_what_is_no_resnet_refuses_the_stem_for_small_images() -> None:
    with pytest.raises(ValueError, match=r"model\.small_images=true: only resnets.*shufflenet_v2_x0_5 has not"):
        torchvision(images(), 7, name=SMALL, small_images=True)


@pytest.mark.parametrize(
    ("name", "closest"), [("resnet8", "resnet"), ("ResNet-18", "resnet18"), ("mobilenet", "mobilenet_v")]
)
def test_an_unknown_name_gets_the_closest(name: str, closest: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.name={name}: torchvision has no such.*did you mean {closest}"):
        torchvision(images(), 7, name=name)


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "raft_small", "zzz"])
def test_what_does_not_classify_images_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.name={name}: torchvision has no such classification network"):
        torchvision(images(), 7, name=name)


@pytest.mark.parametrize("name", ["alexnet", "vit_b_32", "maxvit_t"])
def test_images_that_do_not_suit_a_network_are_refused_in_one_line(name: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError) as refusal:
        torchvision(images(size=28), 7, name=name)
    assert str(refusal.value).startswith(f"model.name={name} does not take images of 28x28: ")
    assert "\n" not in str(refusal.value)


def test_tables_are_refused(tabular: Spec) -> None:
    with pytest.raises(ValueError, match=r"model=torchvision takes images.*tabular"):
        torchvision(tabular, 3)


def test_weights_come_from_the_file_but_for_the_head_which_is_named(
    weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = torch.load(weights)
    with caplog.at_level(logging.INFO):
        net = torchvision(images(3), 7, name=SMALL, weights=str(weights))
    taken = {name for name, tensor in net.state_dict().items() if torch.equal(tensor, saved[name])}
    assert set(saved) - taken == {"fc.weight", "fc.bias"}
    new = [message for message in caplog.messages if "new" in message]
    assert new == [
        "  new       fc.weight: (1000, 1024) there, (7, 1024) here",
        "  new       fc.bias: (1000,) there, (7,) here",
    ]


def test_filters_for_colours_see_grey_as_three_equal_channels(weights: Path) -> None:
    grey = torchvision(images(1), 7, name=SMALL, weights=str(weights)).eval()
    colour = torchvision(images(3), 7, name=SMALL, weights=str(weights)).eval()
    colour.fc = grey.fc
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(grey(x), colour(x.expand(2, 3, 32, 32)), rtol=1e-4, atol=1e-5)


def test_a_frozen_backbone_keeps_weights_and_statistics_while_the_head_learns(weights: Path) -> None:
    net = in_training(torchvision(images(3), 7, name=SMALL, weights=str(weights), freeze=True))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optim = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        loss = nn.functional.cross_entropy(net(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 3]))
        optim.zero_grad()
        loss.backward()
        optim.step()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_a_frozen_network_computes_what_the_file_s_computes_in_evaluation(weights: Path) -> None:
    net = in_training(torchvision(images(3), 7, name=SMALL, weights=str(weights), freeze=True))
    theirs = original()
    theirs.load_state_dict(torch.load(weights))
    theirs.fc, x = net.fc, torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)


def test_frozen_or_not_a_network_has_the_same_modules(weights: Path) -> None:
    frozen = torchvision(images(3), 7, name=SMALL, weights=str(weights), freeze=True)
    plain = torchvision(images(3), 7, name=SMALL)
    assert [(name, type(part)) for name, part in frozen.named_modules()] == [
        (name, type(part)) for name, part in plain.named_modules()
    ]


def test_what_the_file_did_not_fit_is_trained_too(tmp_path: Path) -> None:
    net = torchvision(images(3), 7, name="resnet18")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    small = torchvision(images(3), 7, weights=str(tmp_path / "net.pt"), freeze=True, small_images=True)
    assert {name for name, p in small.named_parameters() if p.requires_grad} == {"conv1.weight", "fc.weight", "fc.bias"}


def test_frozen_without_a_file_only_the_head_is_trained() -> None:
    net = torchvision(images(), 7, name="squeezenet1_1", freeze=True)
    trained = {name for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {"classifier.1.weight", "classifier.1.bias"}


def test_weights_of_a_run_s_checkpoint_are_read(tmp_path: Path) -> None:
    net = torchvision(images(), 7, name=SMALL)
    torch.save({"model": net.state_dict()}, tmp_path / "best.pt")
    again = torchvision(images(), 7, name=SMALL, weights=str(tmp_path / "best.pt"))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"not a file of torch", "no weights that can be read"),
        ({"a": 1}, "holds no state dict"),
        ({"layer.weight": torch.ones(3)}, "none of its tensors fits; it has layer.weight"),
    ],
)
def test_a_bad_file_of_weights_is_refused_in_one_line(content: object, message: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(ValueError) as refusal:
        torchvision(images(), 7, name=SMALL, weights=str(file))
    assert str(refusal.value).startswith(f"model.weights={file}: {message}")
    assert "\n" not in str(refusal.value)


def test_an_init_that_would_overwrite_the_weights_is_refused(weights: Path, tmp_path: Path) -> None:
    choices = ["model=torchvision", f"model.name={SMALL}", f"model.weights={weights}"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        assert build(compose("train", choices), tmp_path)
        with pytest.raises(ValueError, match=r"model\.weights: this init would overwrite them"):
            build(compose("train", [*choices, "init=kaiming"]), tmp_path)


def test_bad_values_are_refused_by_the_preflight() -> None:
    def mistakes(option: str) -> list[str]:
        return check(["model=torchvision", option], config_folder()).mistakes

    assert mistakes("model.name=resnet50") == []
    assert mistakes("model.freeze=3") == ["model.freeze=3: must be true or false"]
    assert mistakes("model.nam=resnet50")[0].startswith("model.nam: no such option; did you mean model.name?")


def test_torchvision_is_imported_only_when_it_is_used() -> None:
    program = "import sys; import dlkit.models.zoo; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
