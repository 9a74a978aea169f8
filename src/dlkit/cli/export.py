"""Write a trained model for use elsewhere: `dlkit export RUN --format onnx`, torch_export or safetensors.

onnx and torch_export hold the preprocessing too, as far as it can be computed in them (scaling, levels, log-mel,
missing numbers), and the loss's link: raw numbers in, probabilities out, for batches (and sequences) of any length,
without dlkit. safetensors holds the weights alone, with all that dlkit rebuilds the model from. The file is loaded
again and compared with the model on real examples before it is there, with a README of its inputs, outputs and how to
call it. Where the run's data has moved: `dlkit export RUN --format onnx data.root=FOLDER`.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from dlkit import runs
from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered

NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch_export": (), "safetensors": ("safetensors",)}


def main(args: list[str] | None = None) -> None:
    """Writes and checks the files; exits with 1 where the exported model differs, 2 for a mistake."""
    parser = Parser("export", __doc__)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or latest: the newest under outputs")
    parser.add_argument("words", nargs="*", metavar="DATA", help="where real examples are, if not where they were")
    parser.add_argument("--format", choices=tuple(NEEDED), required=True)
    parser.add_argument("--weights", metavar="NAME", help="checkpoint: last, best, average, best-STEP, step-STEP")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="default: RUN/export/FORMAT")
    parser.add_argument("--trust", action="store_true", help="let the run's config name any code")
    flags = parser.parse_args(sys.argv[1:] if args is None else args)
    with answered():
        runs.find(flags.run)  # at once, before torch is imported
        if missing := [name for name in NEEDED[flags.format] if find_spec(name) is None]:
            raise ValueError(f"--format {flags.format}: needs {', '.join(missing)}: pip install 'dlkit[export]'")
        _export(flags)


def _export(flags: Namespace) -> None:
    from dlkit.cli.data_words import data_node
    from dlkit.evaluation.data import read
    from dlkit.export.check import Differs
    from dlkit.export.folder import FILES, export
    from dlkit.trained import load

    trained = load(flags.run, weights=flags.weights, device="cpu", trust=flags.trust)
    node = data_node(trained, flags.words)
    try:
        seen = read(trained, node)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{error}\nThe export is checked on real examples: say where they are, as in "
            f"dlkit export {flags.run} --format {flags.format} data.root=FOLDER (or data.path=FILE)"
        ) from error
    out = flags.out or trained.folder / "export" / flags.format
    try:
        checked = export(trained, seen, flags.format, out)
    except Differs as error:
        print(f"dlkit export: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    size = (out / FILES[flags.format]).stat().st_size
    print(f"file     {out / FILES[flags.format]}, {size / 1e6:.2f} MB")
    if trained.trainer.dtype != "float32":
        print(f"dtype    float32; in training trainer.dtype={trained.trainer.dtype}")
    print(f"checked  {checked}")
    print(f"readme   {out / 'README.md'}")
