"""Measure a trained model: `dlkit evaluate RUN`, on other data `dlkit evaluate RUN data=image_folder data.root=photos`.

The test split, or the one that --split names, with the weights that the run's `final.weights` says: figures with 95 %
bootstrap intervals, precision and recall by class, the worst errors. Into the run's folder go evaluation-SPLIT.json,
pictures of the confusions and the reliability (of numbers: predicted against true) as PNG and SVG, and the worst errors
as a table, of images as a sheet. Other data is read as in training, nothing is fitted anew, and classes are matched by
name; all of it is looked at, or its own test split if it has one. `data.path=new.csv` alone: the run's own columns in
another file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered


def main(args: list[str] | None = None) -> None:
    """Prints and writes the report; 2 for a mistake."""
    parser = Parser("evaluate", __doc__)
    parser.add_run()
    parser.add_argument("words", nargs="*", metavar="DATA", help="other data, as for dlkit train: data=CHOICE data.x=y")
    parser.add_argument("--split", metavar="NAME", help="train, val, test or all")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="where the files go; default: the run's folder")
    flags = parser.parse_args(sys.argv[1:] if args is None else args)
    with answered():
        from dlkit.cli.data_words import data_node  # torch: 0.8 s, which a mistyped command does not pay
        from dlkit.evaluation import report
        from dlkit.evaluation.data import read
        from dlkit.log import Log
        from dlkit.trained import load

        if flags.out and flags.out.exists() and not flags.out.is_dir():
            raise ValueError(f"--out {flags.out}: a file; name a folder")
        logging = Log()
        try:
            trained = load(flags.run, weights=flags.weights, device=flags.device, trust=flags.trust)
            seen = read(trained, data_node(trained, flags.words))
            made = report.make(trained, seen, seen.chosen(flags.split))
            files = report.write(made, trained, seen, flags.out or trained.folder)
            report.show(made, trained, seen, files)
        finally:
            logging.close()
