"""Python that calls an exported model, to be pasted: for the README beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dlkit.data.text.tokens import SHORT_FORM, SPECIAL, UNKNOWN, WORD, Tokens
from dlkit.export.inputs import Input
from dlkit.types import Encoder, Spec

WEIGHTS = """from dlkit.export.weights import load

trained = load(".")  # run in this folder; as dlkit.load gives a run
print(trained.model)
# print(trained.predict({raw}))
"""
READS = ("from pathlib import Path", "import json")
RAW = {"image": '"photo.png"', "waveform": '"recording.wav"', "tokens": '"a text"', "tabular": "row"}


def snippet(format: str, spec: Spec, encoder: Encoder, inputs: Sequence[Input], output: str) -> str:
    """A program that calls the file with one example, run in its folder."""
    if format == "safetensors":
        return WEIGHTS.format(raw=RAW.get(spec.kind, "raw"))
    imports, made = _example(encoder, inputs)
    names = [one.name for one in inputs]
    if format == "onnx":
        imports = {*imports, "import numpy as np", "import onnxruntime"}
        fed = ", ".join(f'"{name}": {name}' for name in names)
        call = [
            'session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
            *made,
            f"{output} = session.run(None, {{{fed}}})[0]",
        ]
    else:
        imports = {*imports, "import numpy as np", "import torch"}
        fed = ", ".join(f"torch.from_numpy({name})" for name in names)
        call = ['model = torch.export.load("model.pt2").module()', *made, f"{output} = model({fed}).numpy()"]
    if spec.task == "classification":
        imports = {*imports, *READS}
        call += [
            'classes = json.loads(Path("classes.json").read_text(encoding="utf-8"))',
            f"for row in {output}:",
            "    print(classes[row.argmax()], row.max())",
        ]
    else:
        call += [f"print({output})"]
    return "\n".join([*sorted(imports, key=_order), "", *call]) + "\n"


def _order(line: str) -> tuple[bool, str]:
    """The standard library first."""
    return line not in (*READS, "import re", "import unicodedata"), line


def _example(encoder: Encoder, inputs: Sequence[Input]) -> tuple[set[str], list[str]]:
    """Imports, and lines that make an array for each input."""
    if isinstance(encoder, Tokens):
        imports, cutting = _tokenizer(encoder)
        return imports, [*cutting, 'texts = [number("a text of a few words"), number("another")]', *_PADDED]
    lines = []
    for one in inputs:
        shape = tuple({"batch": 1, "length": 16000}.get(str(size), size) for size in one.shape)
        dtype = str(one.dtype).removeprefix("torch.")
        fill = f"np.full({shape}, -1, dtype=np.{dtype})" if one.name == "words" else f"np.zeros({shape}, np.{dtype})"
        lines += [f"{one.name} = {fill}  # yours", *_hint(one)]
    return set(), lines


def _hint(one: Input) -> list[str]:
    """Comments that say how a file is read, as in training but for turned, transparent and many-channelled ones."""
    if one.name == "images" and one.dtype is torch.uint8:
        grey = one.shape[1] == 1
        fit = f'ImageOps.fit(photo.convert("{"L" if grey else "RGB"}"), {(one.shape[3], one.shape[2])}, Image.BILINEAR)'
        return [
            '# photo = Image.open("photo.png")  # from PIL import Image, ImageOps',
            f"# images = np.asarray({fit}){'[None, None]' if grey else '.transpose(2, 0, 1)[None]'}",
        ]
    if one.name == "recordings":
        return [
            '# recordings = soundfile.read("recording.wav", dtype="float32")[0][None]  # of one channel, at the rate'
        ]
    return []


_PADDED = [
    "tokens = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)",
    "for row, text in zip(tokens, texts):",
    "    row[: len(text)] = text",
]


def _tokenizer(encoder: Tokens) -> tuple[set[str], list[str]]:
    """Imports, and the definition of `number`, which turns a text into a list of numbers as the encoder does."""
    normal = f'unicodedata.normalize("NFC", {"text.lower()" if encoder.lower else "text"})'
    end = f"[:{encoder.max_length}] or [{UNKNOWN}]"
    if encoder.tokenizer == "bpe":
        return {"import unicodedata", "from tokenizers import Tokenizer"}, [
            'tokenizer = Tokenizer.from_file("tokenizer.json")',
            "def number(text):",
            f"    words = {normal}.split()",
            f"    return [i + {len(SPECIAL)} for word in words for i in tokenizer.encode(word).ids]{end}",
        ]
    read = [
        'words = json.loads(Path("vocabulary.json").read_text(encoding="utf-8"))',
        "place = {word: i for i, word in enumerate(words)}",
    ]
    if encoder.tokenizer == "char":
        return {*READS, "import unicodedata"}, [
            *read,
            "def number(text):",
            f"    return [place.get(letter, {UNKNOWN}) for letter in {normal}]{end}",
        ]
    return {*READS, "import re", "import unicodedata"}, [
        *read,
        "def number(text):",
        f'    text = {normal}.replace("\\u2019", "\'")',
        f'    text = re.sub({SHORT_FORM.pattern!a}, r" \\g<0>", text)',
        f"    return [place.get(word, {UNKNOWN}) for word in re.findall({WORD.pattern!a}, text)]{end}",
    ]
