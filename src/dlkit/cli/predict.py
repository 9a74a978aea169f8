"""Say what a trained model makes of new inputs: `dlkit predict latest photo.png`, `dlkit predict RUN --text "good"`.

INPUT is what the model takes, read as in training:
  images    files of any format that Pillow reads
  sounds    WAV and FLAC files
  texts     --text, or files: a text a line; of CSV, TSV and JSON lines (or .gz of them) the texts in a column
  tables    CSV, TSV and JSON lines, a row an input, columns told by name, the target's not needed
Folders are searched for such files at any depth. "-" is standard input: of images and sounds the paths, one a line, of
texts and tables the content of a file. Any number of inputs is read and answered in order, a batch at a time; those
that cannot be read are told on stderr and passed over, and the exit code is 1 then, 2 where there is nothing else.
"""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dlkit import runs
from dlkit.cli.arguments import Parser
from dlkit.cli.predictions import TOP, WRITERS
from dlkit.mistakes import answered

if TYPE_CHECKING:
    from dlkit.data.inputs import Example


def main(args: list[str] | None = None) -> None:
    """Prints a prediction for each input; exits with 1 where some could not be read, 2 for a mistake."""
    parser = Parser("predict", __doc__)
    parser.add_run()
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="files, folders, or - for standard input")
    parser.add_argument("--text", action="append", default=[], metavar="TEXT", help="a text; may be given many times")
    parser.add_argument("--column", metavar="NAME", help="of the texts, by name or number from 0; else the run's own")
    parser.add_argument("--format", choices=("table", "csv", "jsonl"), default="table", help="default: table")
    parser.add_argument("--top", type=_count, metavar="K", help=f"classes told; table {TOP}, jsonl all, csv always all")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write, instead of standard output")
    parser.add_argument("--batch-size", type=_count, default=64, metavar="N", help="inputs at a time, default 64")
    flags = parser.parse_args(args)
    if not flags.inputs and not flags.text:
        parser.error("no INPUT: name files or folders, - for standard input, or --text for texts")
    if flags.inputs.count("-") > 1:
        parser.error("- twice: there is one standard input")
    if flags.format == "csv" and flags.top is not None:
        parser.error("--top: csv has a column for every class; leave it out")
    with answered():
        runs.find(flags.run)  # at once, before torch is imported
        code = _predict(flags)
    if code:
        raise SystemExit(code)


def _predict(flags: Namespace) -> int:
    from dlkit.data.inputs import Example
    from dlkit.trained import load

    model = load(flags.run, weights=flags.weights, device=flags.device, trust=flags.trust)
    predictor, spec = model.predictor, model.spec
    if flags.text and spec.kind != "tokens":
        raise ValueError(f"--text: this model takes {spec.kind} inputs, no texts")
    column = int(flags.column) if (flags.column or "").isdigit() else flags.column
    inputs = predictor.inputs(column)
    if inputs.note:
        print(f"note: {inputs.note}", file=sys.stderr)
    bad, done = 0, 0

    def report(example: Example) -> None:
        nonlocal bad
        bad += 1
        print(f"{example.name}: {example.why}", file=sys.stderr)

    examples = chain((Example(text, text) for text in flags.text), inputs.stream(flags.inputs))
    batches = predictor.stream(inputs, examples, batch_size=flags.batch_size, report=report)
    first = next(batches, None)
    if first is None:
        if not bad:
            print(f"{' '.join(flags.inputs)}: nothing in it to predict", file=sys.stderr)
        return 2
    if first[0].scores:
        print("note: the run's loss gives no probabilities; scores are the model's outputs", file=sys.stderr)
    with _opened(flags.out) as file:
        write = WRITERS[flags.format](file, spec, flags.top)
        for batch in chain([first], batches):
            write(batch)
            file.flush()
            done += len(batch)
    if flags.out:
        print(f"{done:,} predictions: {flags.out}", file=sys.stderr)
    return 1 if bad else 0


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    """The file, which is there when it is whole, or standard output. Names of files may be in any encoding."""
    from dlkit.rundir import whole

    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        return
    if path.is_dir():
        raise ValueError(f"--out {path}: a folder; name a file")
    try:
        with whole(path) as place, place.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        raise ValueError(f"--out {path}: cannot be written: {error.strerror}") from error


def _count(word: str) -> int:
    if not word.isdigit() or int(word) < 1:
        raise ArgumentTypeError(f"{word!r}: must be a whole number, at least 1")
    return int(word)
