import numpy as np
import pytest
import torch
from PIL import Image

from dlkit.data.images import folder as module
from dlkit.data.images.folder import image_folder
from dlkit.data.images.pixels import kinds, read_image
from dlkit.data.raw import Files


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path, array=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(8, 8, 3) if array is None else array).save(path, **options)
    return path


def write_set(root, classes=("cat", "dog"), count=4, side=8, channels=(3,)):
    """`count` different PNG images a class."""
    for label, name in enumerate(classes):
        for i in range(count):
            write(root / name / f"{i}.png", pixels(side, side, *channels, seed=100 * label + i))


@pytest.fixture
def load(tmp_path):
    def call(root, **options):
        return image_folder(**{"root": str(root), "size": 8, "cache": str(tmp_path / "cache"), **options})

    return call


def test_images_of_the_right_size_are_read_pixel_by_pixel_in_the_order_of_their_paths(tmp_path, load):
    write_set(tmp_path / "set")
    examples = load(tmp_path / "set")
    x, y = examples.splits["train"]
    assert list(examples.splits) == ["train"] and examples.classes == ("cat", "dog")
    assert x.dtype == torch.uint8 and y.tolist() == [0] * 4 + [1] * 4
    for label in range(2):
        for i in range(4):
            expected = torch.from_numpy(pixels(8, 8, 3, seed=100 * label + i)).permute(2, 0, 1)
            assert torch.equal(x[4 * label + i], expected)


def test_folders_of_splits_become_splits(tmp_path, load):
    for split, count in (("train", 3), ("Validation", 2), ("test", 1)):
        write_set(tmp_path / "set" / split, count=count)
    splits = load(tmp_path / "set").splits
    assert {name: y.tolist() for name, (_, y) in splits.items()} == {
        "train": [0, 0, 0, 1, 1, 1],
        "val": [0, 0, 1, 1],
        "test": [0, 1],
    }


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40), (33, 33), (5, 9)])
def test_the_short_side_is_resized_and_the_middle_of_the_long_side_kept(tmp_path, height, width):
    from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

    coarse = Image.fromarray(pixels(5, 7, 3)).resize((width, height), Image.Resampling.BICUBIC)  # smooth
    coarse.save(tmp_path / "one.png")
    ours = read_image(tmp_path / "one.png", size=16, grey=False)
    theirs = pil_to_tensor(center_crop(resize(coarse, 16), [16, 16]))
    assert ours.shape == (3, 16, 16) and ours.dtype == torch.uint8
    assert (ours.int() - theirs.int()).abs().float().mean() < 6  # they round the long side to whole pixels first


def converted(mode):
    """An image of that mode and what it is in plain RGB."""
    rgb = Image.fromarray(pixels(8, 8, 3))
    if mode == "RGBA":
        image = rgb.convert("RGBA")
        image.putalpha(Image.fromarray(pixels(8, 8, seed=1)))
        alpha = np.asarray(image)[..., 3:] / 255
        return image, np.asarray(rgb) * alpha + 255 * (1 - alpha)
    if mode == "LA":
        image = rgb.convert("LA")
        image.putalpha(Image.fromarray(pixels(8, 8, seed=1)))
        alpha = np.asarray(image)[..., 1:] / 255
        return image, np.repeat(np.asarray(rgb.convert("L"))[..., None] * alpha + 255 * (1 - alpha), 3, 2)
    if mode == "I;16":
        wide = np.random.default_rng(0).integers(0, 2**16, (8, 8), dtype=np.uint16)
        return Image.fromarray(wide), np.repeat((wide / 257)[..., None], 3, 2)
    image = rgb.convert(mode)
    return image, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *[("RGB", f"a.{kind}") for kind in ("png", "PNG", "bmp", "tiff", "webp", "ppm")],
        *[
            ("L", "a.png"),
            ("L", "a.TIF"),
            ("L", "a.pgm"),
            ("1", "a.png"),
            ("1", "a.pbm"),
            ("P", "a.png"),
            ("P", "a.gif"),
        ],
        *[("RGBA", "a.png"), ("LA", "a.png"), ("CMYK", "a.tiff"), ("I;16", "a.png"), ("I;16", "a.tiff")],
    ],
)
def test_every_mode_becomes_rgb_and_grey(tmp_path, mode, name):
    image, expected = converted(mode)
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    rgb = read_image(tmp_path / name, size=8, grey=False)
    np.testing.assert_allclose(rgb.permute(1, 2, 0).numpy(), expected, atol=1)
    grey = read_image(tmp_path / name, size=8, grey=True)
    luma = expected @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[0].numpy(), luma, atol=2)


def test_a_photograph_is_turned_as_its_exif_orientation_says(tmp_path):
    array = np.zeros((8, 8, 3), dtype=np.uint8)
    array[:4] = 255  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: the upper half goes to the right
    write(tmp_path / "a.jpg", array, exif=exif, quality=100)
    x = read_image(tmp_path / "a.jpg", size=8, grey=True)[0]
    assert x[:, 4:].min() > 240 and x[:, :4].max() < 15


def test_a_large_jpeg_decoded_small_looks_like_the_whole(tmp_path):
    smooth = Image.fromarray(pixels(6, 6, 3)).resize((480, 640), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.jpg", quality=95)
    smooth.save(tmp_path / "a.png")
    small, whole = (read_image(tmp_path / name, size=32, grey=False).int() for name in ("a.jpg", "a.png"))
    assert (small - whole).abs().float().mean() < 4


def test_a_set_is_grey_where_every_image_is(tmp_path, load):
    write_set(tmp_path / "set", channels=())
    assert load(tmp_path / "set").splits["train"][0].shape == (8, 1, 8, 8)
    assert load(tmp_path / "set", mode="rgb").splits["train"][0].shape == (8, 3, 8, 8)
    write(tmp_path / "set" / "cat" / "colours.png")
    assert load(tmp_path / "set").splits["train"][0].shape == (9, 3, 8, 8)
    assert load(tmp_path / "set", mode="grey").splits["train"][0].shape == (9, 1, 8, 8)


def bad_set(root):
    """A set with one file of each kind of damage; the paths of the bad ones."""
    write_set(root, count=3, side=64)
    whole = (root / "cat" / "0.png").read_bytes()
    write(root / "dog" / "cut.JPG", pixels(64, 64, 3))
    cut = (root / "dog" / "cut.JPG").read_bytes()
    (root / "dog" / "cut.JPG").write_bytes(cut[: len(cut) // 2])
    (root / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / "broken.png").write_bytes(whole[:60] + b"\0" * 40 + whole[100:])
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "cat" / "text.png").write_text("this is no image")
    (root / "cat" / "notes.txt").write_text("something else")
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(root / "cat" / "numbers.tiff")
    write(root / "only" / "one.png")
    (root / "nothing").mkdir()
    return {
        "dog/cut.JPG": "the image is damaged or cut off",
        "cat/cut.png": "the image is damaged or cut off",
        "cat/broken.png": "the image is damaged or cut off",
        "cat/empty.png": "the file is empty",
        "cat/text.png": "not an image that Pillow reads, whatever its name says",
        "cat/notes.txt": "not an image that Pillow reads",
        "cat/numbers.tiff": "pixels are floating-point numbers (mode F); save it with 8 or 16 bits",
        "only/one.png": "the only file of its class",
        "nothing": "a class without files",
    }


def test_every_bad_file_is_named_at_once(tmp_path, load):
    root = tmp_path / "set"
    bad = bad_set(root)
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ValueError) as caught:
            load(root)
        lines = str(caught.value).splitlines()
        assert lines[0].startswith(f"{len(bad)} problems in the data (data.on_error=skip")
        for name, why in bad.items():
            assert [line for line in lines if line.startswith(f"{root / name}: {why}")], (name, lines)


def test_bad_files_are_left_out_and_counted(tmp_path, load):
    bad_set(tmp_path / "set")
    examples = load(tmp_path / "set", on_error="skip")
    assert examples.classes == ("cat", "dog") and examples.splits["train"][1].tolist() == [0] * 3 + [1] * 3
    assert len(examples.notes) == 7
    assert any(note.startswith("left out 3: the image is damaged or cut off; first ") for note in examples.notes)


def test_what_only_val_or_test_has_is_a_problem(tmp_path, load):
    write_set(tmp_path / "set" / "train")
    write_set(tmp_path / "set" / "test", classes=("cat", "dog", "owl"), count=1)
    with pytest.raises(ValueError, match=r"owl/0.png: in test, but the training split"):
        load(tmp_path / "set")
    assert load(tmp_path / "set", on_error="skip").splits["test"][1].tolist() == [0, 1]


def write_words(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("no picture")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, r"data.root=.*set: no such folder"),
        (lambda root: root.write_bytes(b""), r"data.root=.*set: a file; give a folder"),
        (lambda root: root.mkdir(), r"no folder of a class in it holds an image that Pillow reads; there is nothing"),
        (lambda root: write_set(root.parent, classes=("set",)), r"4 lie in it directly: give the folder above"),
        (lambda root: write_words(root, "a/1.mp3", "b/2.mp3", "b/x"), r"there is 2 \.mp3, 1 without ending$"),
        (lambda root: write_set(root, classes=("cat",)), r"data.root=.*set: 1 class \(cat\) with two or more training"),
    ],
)
def test_a_folder_without_classes_is_refused(tmp_path, load, make, message):
    make(tmp_path / "set")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set")


def test_where_too_little_is_left_it_is_said_what_was_left_out(tmp_path, load):
    write_set(tmp_path / "set")
    with pytest.raises(ValueError, match=r"(?s)expected at least 2\nleft out 8: data.group='\(\\d\\d\)' is not found"):
        load(tmp_path / "set", group=r"(\d\d)", on_error="skip")


def test_images_are_decoded_once_and_again_where_a_file_or_an_option_changes(tmp_path, load, monkeypatch):
    write_set(tmp_path / "set")
    decoded = []

    def counted(path, **options):
        decoded.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr(module, "read_image", counted)
    first, again = load(tmp_path / "set"), load(tmp_path / "set")
    assert len(decoded) == 8 and torch.equal(first.splits["train"][0], again.splits["train"][0])
    assert not list((tmp_path / "set").rglob("*.pt"))
    load(tmp_path / "set", size=4)
    assert len(decoded) == 16
    write(tmp_path / "set" / "cat" / "0.png", pixels(8, 8, 3, seed=9))
    assert torch.equal(
        load(tmp_path / "set").splits["train"][0][0].permute(1, 2, 0), torch.from_numpy(pixels(8, 8, 3, seed=9))
    )
    assert len(decoded) == 24


def test_a_set_above_the_limit_stays_files_that_give_the_same_images(tmp_path, load):
    write_set(tmp_path / "set", side=20)
    bytes_needed = 4 * 8 * 3 * 8 * 8
    inside, beyond = (load(tmp_path / "set", memory_limit=1e-9 * bytes_needed * k) for k in (1.01, 0.99))
    files, y = beyond.splits["train"]
    assert isinstance(files, Files) and len(files) == 8 and files.workers == 4
    x, same = inside.splits["train"]
    assert torch.equal(torch.stack([files.read(path) for path in files.paths]), x) and torch.equal(y, same)
    assert not inside.notes and "data.memory_limit" in beyond.notes[0]


def test_groups_are_read_from_paths(tmp_path, load):
    write_set(tmp_path / "set", count=4)
    examples = load(tmp_path / "set", group=r"/([0-9])\.png")
    assert examples.groups.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"cat/3.png: data.group='/\(\[0-2\]\)' is not found in its path"):
        load(tmp_path / "set", group="/([0-2])")
    with pytest.raises(ValueError, match="no regular expression"):
        load(tmp_path / "set", group="([0-2]")


def test_hidden_files_and_what_lies_beside_the_classes_are_passed_over(tmp_path, load):
    write_set(tmp_path / "set")
    for name in (".DS_Store", "cat/.hidden.png", "cat/Thumbs.db", "README.md"):
        (tmp_path / "set" / name).write_text("x")
    assert len(load(tmp_path / "set").splits["train"][1]) == 8


def test_usual_extensions_are_known():
    assert {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"} <= kinds()


def test_named_classes_have_their_order_and_any_number_of_files(tmp_path, load):
    write_set(tmp_path / "set", classes=("dog",), count=1)
    (tmp_path / "set" / "owl").mkdir()
    examples = load(tmp_path / "set", classes=["owl", "dog", 7])
    assert examples.classes == ("owl", "dog", "7") and examples.splits["train"][1].tolist() == [1]


def test_files_of_classes_that_are_not_named_are_problems(tmp_path, load):
    for split in ("train", "test"):
        write_set(tmp_path / "set" / split, classes=("cat", "wolf"), count=1)
    options = {"classes": ["dog", "cat"], "memory_limit": 1e-6}  # streamed
    with pytest.raises(ValueError) as caught:
        load(tmp_path / "set", **options)
    assert str(caught.value).splitlines()[1:] == [
        f"{tmp_path / 'set' / split / 'wolf' / '0.png'}: class 'wolf' is none of dog, cat"
        for split in ("train", "test")
    ]
    examples = load(tmp_path / "set", **options, on_error="skip")
    assert {name: y.tolist() for name, (_, y) in examples.splits.items()} == {"train": [1], "test": [1]}
    first = tmp_path / "set" / "train" / "wolf" / "0.png"
    assert f"left out 2: class 'wolf' is none of dog, cat; first {first}" in examples.notes


def test_without_a_file_of_the_named_classes_it_is_said_what_was_left_out(tmp_path, load):
    write_set(tmp_path / "set")
    with pytest.raises(
        ValueError, match=r"(?s)no training file of the classes owl, ape is left\nleft out 4: class 'cat'"
    ):
        load(tmp_path / "set", classes=["owl", "ape"], on_error="skip")


@pytest.mark.parametrize("memory_limit", [2.0, 1e-6])
def test_examples_have_the_names_of_their_files_below_the_root(tmp_path, load, memory_limit):
    root = tmp_path / "set"
    bad_set(root / "train")
    write_set(root / "test", count=1)
    examples = load(root, on_error="skip", memory_limit=memory_limit)
    assert examples.names["test"] == ("test/cat/0.png", "test/dog/0.png")
    x, y = examples.splits["train"]
    assert len(examples.names["train"]) == len(y)
    for row, name in enumerate(examples.names["train"] if memory_limit == 2 else ()):
        assert torch.equal(x[row], read_image(root / name, size=8, grey=False))
    if memory_limit != 2:
        assert [str(path) for path in x.paths] == [str(root / name) for name in examples.names["train"]]
