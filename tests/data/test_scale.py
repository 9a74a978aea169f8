import numpy as np
import pytest
import torch
from builders import images
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from dlkit.data.scale import Scale

SCALERS = {"standardize": StandardScaler, "minmax": MinMaxScaler}


def fitted(raw, normalize):
    encoder = Scale(normalize=normalize)
    encoder.fit(raw)
    return encoder


def table():
    x = torch.randn(300, 4, generator=torch.manual_seed(0)) * torch.tensor([1.0, 100.0, 1e-3, 0.0])
    return x + torch.tensor([0.0, 5.0, 1000.0, 0.1])  # large offset beside a small spread; the last never varies


@pytest.mark.parametrize("normalize", SCALERS)
def test_scale_of_a_table_equals_sklearn(normalize):
    train, other = table()[:200], table()[200:]
    scaler = SCALERS[normalize]().fit(train.double().numpy())
    encoder = fitted(train, normalize)
    expected = torch.from_numpy(scaler.transform(other.double().numpy())).float()
    torch.testing.assert_close(encoder.encode(other)[:, :2], expected[:, :2], rtol=1e-5, atol=1e-5)
    # float32 resolves 1000 ± 0.001 in steps of 6e-5, so a twentieth of the deviation
    torch.testing.assert_close(encoder.encode(other)[:, 2], expected[:, 2], rtol=0, atol=0.1)
    assert (encoder.encode(other)[:, 3].abs() < 1e-6).all()


@pytest.mark.parametrize("normalize", SCALERS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_scale_of_images_equals_sklearn_on_their_pixels(normalize, dtype):
    raw = images(30, channels=3).splits["train"][0].to(dtype)
    pixels = raw.permute(0, 2, 3, 1).reshape(-1, 3).numpy().astype(np.float64)  # a column a channel
    expected = SCALERS[normalize]().fit_transform(pixels).reshape(30, 8, 8, 3).transpose(0, 3, 1, 2)
    torch.testing.assert_close(fitted(raw, normalize).encode(raw), torch.from_numpy(expected).float())


def test_none_leaves_values_as_they_are():
    raw = images(4).splits["train"][0]
    assert torch.equal(fitted(raw, "none").encode(raw), raw.float())


def test_encoding_leaves_raw_values_alone():
    raw = table()
    fitted(raw, "standardize").encode(raw)
    assert torch.equal(raw, table())


def test_state_survives_saving_as_plain_tensors(tmp_path):
    encoder, fresh = fitted(table(), "standardize"), Scale()
    torch.save(encoder.state_dict(), tmp_path / "scale.pt")
    fresh.load_state_dict(torch.load(tmp_path / "scale.pt", weights_only=True))
    assert torch.equal(fresh.encode(table()), encoder.encode(table()))
