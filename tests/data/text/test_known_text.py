import gzip
import hashlib
import re
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.datasets import _twenty_newsgroups as reference
from small_texts import write_archive, write_text_sets

from dlkit.data.reading.download import fetch
from dlkit.data.text import known as known_text
from dlkit.data.text.files import text_csv
from dlkit.data.text.known import ag_news, imdb, mr, sst2, trec
from dlkit.data.text.newsgroups import newsgroups20, without
from dlkit.parts import build_data
from dlkit.settings import config_folder

TOPICS = ("ag_news", "sst2", "mr", "trec", "newsgroups20", "imdb")
CACHED = ("newsgroups20", "imdb")


@pytest.fixture
def root(tmp_path):
    write_text_sets(tmp_path / "data")
    return tmp_path / "data"


def read(choice, root, **options):
    sources = {"ag_news": ag_news, "sst2": sst2, "mr": mr, "trec": trec, "newsgroups20": newsgroups20, "imdb": imdb}
    if choice in CACHED:
        options["cache"] = str(root.parent / "cache")
    return sources[choice](root=str(root), **options)


def counts(examples):
    classes = len(examples.classes)
    return {name: torch.bincount(y, minlength=classes).tolist() for name, (_, y) in examples.splits.items()}


def message(make):
    with pytest.raises(ValueError) as caught:
        make()
    return str(caught.value)


def contents(root):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}


def test_news_are_title_and_description_without_backslashes(root):
    examples = read("ag_news", root)
    assert examples.splits["train"][0].texts[0] == 'A "film" said plot scene, today'
    assert examples.splits["train"][1][:5].tolist() == [0, 1, 2, 3, 0]
    assert examples.classes == ("World", "Sports", "Business", "Sci/Tech")


def test_questions_have_six_kinds_or_finer_ones(root):
    assert read("trec", root).classes == ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
    assert read("trec", root, fine=True).classes[:2] == ("ABBR:exp", "DESC:def")
    assert read("trec", root).splits["test"][0].texts[0].startswith("What is ")


def test_reviews_are_read_without_what_breaks_their_lines(root):
    examples = read("imdb", root)
    assert all(text.endswith("  end") for text in examples.splits["train"][0].texts)
    assert counts(examples) == {"train": [84, 83], "test": [10, 10]}


@pytest.mark.parametrize("choice", TOPICS)
def test_the_data_folder_is_left_as_it_is(root, choice):
    before = contents(root)
    read(choice, root, download=True)
    assert contents(root) == before


@pytest.mark.parametrize(("choice", "place"), [("newsgroups20", "20news"), ("imdb", "imdb")])
def test_an_archive_gives_the_same_as_what_is_unpacked_from_it_and_as_the_cache(root, choice, place):
    packed, again = read(choice, root), read(choice, root)
    (archive,) = (root / place).iterdir()
    with tarfile.open(archive) as file:
        file.extractall(root / place, filter="data")
    archive.unlink()
    unpacked = read(choice, root)
    assert packed.fingerprint() == again.fingerprint() == unpacked.fingerprint()
    assert packed.classes == unpacked.classes and packed.notes == unpacked.notes


def test_the_publishers_archive_of_reviews_is_read_in_its_own_encoding(root):
    for name in ("pos", "neg"):
        path = root / "mr" / f"rt-polarity.{name}"
        path.write_text(path.read_text(encoding="utf-8") + "the café – naïve\x85\n", encoding="utf-8")
    expected = read("mr", root)
    files = {}
    for name in ("pos", "neg"):
        path = root / "mr" / f"rt-polarity.{name}"
        files[f"rt-polaritydata/{path.name}"] = path.read_text(encoding="utf-8").replace("\x85", "…")
        path.unlink()
    write_archive(root / "mr" / "rt-polaritydata.tar.gz", files, "cp1252")
    found = read("mr", root)
    assert [text.replace("…", "").strip() for text in found.splits["train"][0].texts] == [
        text.removesuffix("\x85").strip() for text in expected.splits["train"][0].texts
    ]
    assert torch.equal(found.splits["train"][1], expected.splits["train"][1])


def test_news_are_read_from_compressed_files_and_from_the_archive_too(root):
    expected, place, files = read("ag_news", root).fingerprint(), root / "ag_news", {}
    for path in list(place.iterdir()):
        files[f"ag_news_csv/{path.name}"] = path.read_text(encoding="utf-8")
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read("ag_news", root).fingerprint() == expected
    for path in list(place.iterdir()):
        path.unlink()
    write_archive(place / "ag_news_csv.tar.gz", files)
    assert read("ag_news", root).fingerprint() == expected


def test_posts_are_read_without_what_gives_their_group_away(root):
    examples = read("newsgroups20", root)
    assert examples.splits["train"][0].texts[0] == "the film of number 0\n"
    assert examples.classes == ("rec.autos", "sci.med", "sci.space")
    whole = read("newsgroups20", root, remove=[]).splits["train"][0].texts[0]
    assert whole.startswith("From: user0") and whole.endswith("user0\n")
    assert "wrote:" in read("newsgroups20", root, remove=["headers", "footers"]).splits["train"][0].texts[0]


def test_posts_that_become_empty_stay_and_are_counted(root):
    files = {f"20news-bydate-{split}/{name}/1": "From: x\n\n> y" for split in ("train", "test") for name in "ab"}
    write_archive(root / "20news" / "20news-bydate.tar.gz", files)
    examples = read("newsgroups20", root)
    assert examples.splits["test"][0].texts == ["", ""]
    assert examples.notes == ("4 posts are empty without headers, footers, quotes (data.remove)",)


@pytest.mark.parametrize(
    ("choice", "file", "content", "expected"),
    [
        ("sst2", "sst2/stsa.binary.dev", "1 fine\n2 what\n", "stsa.binary.dev:2: '2 what', expected label (0 or 1)"),
        ("trec", "trec/TREC_10.label", "HUM What ?\n", "TREC_10.label:1: 'HUM What ?', expected KIND:finer"),
        ("mr", "mr/rt-polarity.neg", "bad\n\nbad\n", "rt-polarity.neg:2: '', expected a sentence"),
        ("mr", "mr/rt-polarity.neg", "", "rt-polarity.neg is damaged: it is empty"),
        ("ag_news", "ag_news/test.csv", '"1","a","b"\n"5","a","b"\n', "test.csv:2: no row of class (1 to 4)"),
        ("newsgroups20", "20news/20news-bydate.tar.gz", "no archive", "tar.gz is damaged: expected a tar archive"),
        ("imdb", "imdb/aclImdb_v1.tar.gz", "HALF", "tar.gz is damaged: expected a tar archive, Compressed file ended"),
        ("imdb", "imdb/aclImdb_v1.tar.gz", None, "is not whole: 0 texts of the test split"),
    ],
)
def test_a_damaged_file_is_one_line_with_its_place_and_the_remedy(root, choice, file, content, expected):
    if content is None:
        write_archive(root / file, {"aclImdb/train/pos/1_9.txt": "x"})
    else:
        whole = (root / file).read_bytes()
        (root / file).write_bytes(whole[: len(whole) // 2] if content == "HALF" else content.encode())
    line = message(lambda: read(choice, root))
    assert (
        expected in line and "\n" not in line and line.endswith("delete it and set data.download=true, or copy it anew")
    )


@pytest.mark.parametrize("choice", TOPICS)
def test_a_missing_file_is_one_line_that_says_where_it_is_to_be_had(tmp_path, choice):
    line = message(lambda: read(choice, tmp_path, download=False))
    pattern = rf"{re.escape(str(tmp_path))}/\S+ not found; set data.root to .* data.download=true to fetch https://\S+"
    assert re.fullmatch(pattern, line)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(root):
    """The address of a server of the small files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as served:
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_missing_files_are_fetched_with_their_checksum(root, tmp_path, server, monkeypatch):
    there = {}
    for name in ("train_5500.label", "TREC_10.label"):
        content = (root / "trec" / name).read_bytes()
        there[f"trec/{name}"] = (f"{server}/trec/{name}", hashlib.md5(content).hexdigest())
    monkeypatch.setattr(known_text, "FILES", there)
    fetched = read("trec", tmp_path / "new", download=True)
    assert fetched.fingerprint() == read("trec", root).fingerprint()
    assert sorted(path.name for path in (tmp_path / "new" / "trec").iterdir()) == ["TREC_10.label", "train_5500.label"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_what_does_not_have_the_checksum_is_not_kept(root, tmp_path, server, algorithm):
    url, path = f"{server}/trec/TREC_10.label", tmp_path / "new" / "TREC_10.label"
    right = hashlib.new(algorithm, (root / "trec" / path.name).read_bytes()).hexdigest()
    line = message(lambda: fetch(url, path, right[::-1], True))
    why = f"its {algorithm} is {right}, expected {right[::-1]}"
    assert line == f"{path} could not be fetched from {url}: {why}. Copy it there, or set data.root"
    assert list(path.parent.iterdir()) == []
    (path.parent / f"{path.name}.part").write_bytes(b"cut off")
    assert fetch(url, path, right, True).read_bytes() == (root / "trec" / path.name).read_bytes()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("choice", TOPICS)
def test_every_choice_gives_batches_of_tokens(root, choice, monkeypatch):
    monkeypatch.setenv("DLKIT_DATA", str(root))
    overrides = [f"data={choice}", "data.batch_size=full"] + [f"data.cache={root.parent}"] * (choice in CACHED)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    data = build_data(config, instantiate(config.trainer), torch.device("cpu"))
    assert set(data.split_sizes) == {"train", "val", "test"}
    for batch in (next(data.train(0)), next(data.eval("val"))):
        assert batch.x.dtype == torch.int64 and batch.x.max() < data.spec.vocab_size
        inside = batch.x != 0
        assert inside[:, 0].all() and bool((inside[:, 1:] <= inside[:, :-1]).all())  # zeros at the end only


def test_real_sets_have_the_counts_that_are_published(real_data):
    assert counts(sst2(root=str(real_data))) == {"train": [3310, 3610], "val": [428, 444], "test": [912, 909]}
    assert counts(mr(root=str(real_data))) == {"train": [5331, 5331]}
    questions = {"train": [86, 1162, 1250, 1223, 835, 896], "test": [9, 138, 94, 65, 81, 113]}
    assert counts(trec(root=str(real_data))) == questions
    assert len(trec(root=str(real_data), fine=True).classes) == 50


def test_the_part_of_the_news_that_is_there_can_be_read_as_a_table(real_data):
    path = real_data / "ag_news" / "test.csv.gz"
    assert counts(text_csv(path=str(path), text=[1, 2], label=0)) == {"train": [1900] * 4}


def test_headers_footers_and_quotes_of_real_posts_are_those_that_sklearn_finds(real_data, tmp_path):
    examples = newsgroups20(root=str(real_data), remove=[], cache=str(tmp_path))
    assert {name: len(y) for name, (_, y) in examples.splits.items()} == {"train": 11314, "test": 7532}
    assert len(examples.classes) == 20
    for i, post in enumerate(text for x, _ in examples.splits.values() for text in x.texts):
        bare = reference.strip_newsgroup_footer(reference.strip_newsgroup_header(post))
        assert without(post, ("headers", "footers", "quotes")) == reference.strip_newsgroup_quoting(bare)
        if i % 10 == 0:
            assert without(post, ["headers"]) == reference.strip_newsgroup_header(post)
            assert without(post, ["footers"]) == reference.strip_newsgroup_footer(post)
            assert without(post, ["quotes"]) == reference.strip_newsgroup_quoting(post)
