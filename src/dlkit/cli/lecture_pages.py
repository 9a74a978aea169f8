"""The lectures as a page of HTML that holds its pictures, and as a README beside small ones."""

from __future__ import annotations

import base64
import html
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml

from dlkit.rundir import write_text
from dlkit.runs import read_json
from dlkit.sweeps.report.markup import Cell, listed, table
from dlkit.sweeps.report.style import CSS

INTRODUCTION = (
    "A lecture is an experiment: runs that are compared, a picture of them, and the claim in numbers. "
    "`dlkit lectures NAME` runs one. Options behind it change it, in a folder of their own: "
    "`dlkit lectures nonlinearity model.activation=identity,relu`. What is set and compared is written in "
    "`configs/experiment/lectures/NAME.yaml`, how the picture is drawn and the claim checked in "
    "`src/dlkit/lectures/NAME.py`. The bounds are for the values written there; with others, a check that does not "
    "hold is an answer, too. Runs of lectures write no TensorBoard; `callbacks=default` behind the name adds it."
)
LARGEST = 100_000  # bytes of a picture in a repository
WIDTH = 120  # of a line of Markdown
SVG = 300_000  # bytes of a drawing that the page takes; the PNG of one with more is smaller
STYLE = """
nav ul { list-style: none; padding: 0 }
nav li { margin: .25rem 0 }
section { break-before: page; margin-top: 3rem; border-top: 1px solid var(--grid) }
figure { margin: 1rem 0; break-inside: avoid }
figure img { max-width: 100%; max-height: 80vh; background: #fff; border-radius: 6px }
pre { break-inside: avoid }
.mark { font-weight: 600; white-space: nowrap } .holds { color: var(--good) } .not { color: var(--bad) }
@page { size: portrait; margin: 14mm }
"""


@dataclass(frozen=True)
class Lecture:
    """What is known of a lecture whose runs are in a folder, or are to be there."""

    name: str
    claim: str
    text: str  # what its module says besides; paragraphs
    yaml: str
    command: str
    finding: dict[str, Any]  # of finding.json; empty where there is none yet
    folder: Path

    @classmethod
    def read(cls, name: str, doc: str, yaml: str, options: Sequence[str], folder: Path) -> Lecture:
        claim, _, text = doc.partition("\n")
        command = shlex.join(["python", "train.py", f"experiment=lectures/{name}", *options])
        finding = read_json(folder / "finding.json") if (folder / "finding.json").is_file() else {}
        return cls(name, claim, text.strip(), yaml, command, finding, folder)

    @property
    def verdict(self) -> str:
        if not self.finding:
            return "not drawn: its runs are not done, or not those that it compares"
        if not self.finding["checks"]:
            return "drawn; these runs have nothing to check"
        wrong = sum(not check["holds"] for check in self.finding["checks"])
        return "holds" if not wrong else f"DOES NOT HOLD: {wrong} of {len(self.finding['checks'])} checks"

    @property
    def compared(self) -> str:
        """The options that the runs differ in, in Markdown; empty for a single run."""
        swept = yaml.safe_load(self.yaml).get("hydra", {}).get("sweeper", {}).get("params", {})
        return ", ".join(f"`{option}={values}`" for option, values in swept.items() if "," in str(values))


def write(lectures: Sequence[Lecture], options: Sequence[str], folder: Path) -> Path:
    """Writes the page of these lectures into the folder; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(page(lectures, options), folder / "index.html")
    return folder / "index.html"


def page(lectures: Sequence[Lecture], options: Sequence[str]) -> str:
    """Contents, and of each lecture the claim, the picture, the checks, the command and its file."""
    contents = listed(f'<a href="#{one.name}">{one.name}</a> {_mark(one)} {_words(one.claim)}' for one in lectures)
    body = "\n".join(_section(one) for one in lectures)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>lectures</title><link rel="icon" href="data:,"><style>{CSS}{STYLE}</style></head>
<body>
<h1>What the lectures claim, and what runs show</h1>
<div class="answer"><p>{html.escape(counted(lectures))}</p></div>
<p>{_words(INTRODUCTION)}</p>
<pre><code>{html.escape(shlex.join(["dlkit", "lectures", "all", *options]))}</code></pre>
<nav>{contents}</nav>
{body}
</body>
</html>
"""


def counted(lectures: Sequence[Lecture]) -> str:
    """How many claims hold, in a sentence."""
    drawn = [one for one in lectures if one.finding]
    checked = [one for one in drawn if one.finding["checks"]]
    held = sum(one.finding["holds"] for one in checked)
    seeds = sorted({seed for one in drawn for check in one.finding["checks"] for seed in check["values"]}, key=int)
    rest = f" {len(lectures) - len(drawn)} not drawn." if len(drawn) < len(lectures) else ""
    of = f", for each of the seeds {', '.join(seeds)}" if len(seeds) > 1 else f", for seed {''.join(seeds)}"
    return f"{held} of {len(checked)} claims hold{of if seeds else ''}.{rest}"


def number(value: float | None) -> str:
    """In four digits; what was not finite is None in a file."""
    return "not finite" if value is None else f"{value:.4g}"


def write_docs(lectures: Sequence[Lecture], words: Sequence[str], folder: Path) -> Path:
    """Writes README.md and a picture of each lecture, of at most `LARGEST` bytes, into the folder; `words` stood behind
    `dlkit lectures`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["dlkit", "lectures", *words, "--docs", str(folder)])
    lines = ["# What the lectures claim, and what runs show", "", *fill(INTRODUCTION, WIDTH).splitlines(), ""]
    lines += [f"{counted(lectures)} Made by `{command}`.", ""]
    lines += [f"- [{one.name}](#{one.name}): {one.claim}" for one in lectures] + [""]
    for one in lectures:
        picture = one.folder / "figure.png"
        lines += [f"## {one.name}", "", f"**{one.claim}**", "", *([one.text, ""] if one.text else [])]
        if one.finding and picture.is_file():
            (folder / f"{one.name}.png").write_bytes(small(picture))
            lines += [f"![{one.claim}]({one.name}.png)", "", *_checks_in_markdown(one), ""]
        lines += [*([f"Compared: {one.compared}.", ""] if one.compared else []), "```bash", one.command, "```", ""]
    write_text("\n".join(lines).rstrip() + "\n", folder / "README.md")
    return folder / "README.md"


def small(picture: Path, largest: int = LARGEST) -> bytes:
    """A PNG in 256 colours, rare ones too, and in fewer pixels where it would be too large still."""
    from PIL import Image

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    while True:
        file = BytesIO()
        image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= largest:
            return file.getvalue()
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)


def _section(one: Lecture) -> str:
    paragraphs = "".join(f"<p>{_words(part)}</p>" for part in one.text.split("\n\n") if part)
    checks = _checks(one) if one.finding.get("checks") else f"<p>{html.escape(one.verdict)}</p>"
    return f"""<section id="{one.name}">
<h2>{one.name} {_mark(one)}</h2>
<div class="answer"><p>{_words(one.claim)}</p></div>
{_picture(one)}
{checks}
{paragraphs}
<pre><code>{html.escape(one.command)}</code></pre>
<pre><code>{html.escape(one.yaml.strip())}</code></pre>
</section>"""


def _mark(one: Lecture) -> str:
    if not one.finding:
        return '<span class="mark not">not drawn</span>'
    if not one.finding["checks"]:
        return '<span class="mark">drawn</span>'
    holds = one.finding["holds"]
    return f'<span class="mark {"holds" if holds else "not"}">{"holds" if holds else "does not hold"}</span>'


def _words(text: str) -> str:
    """Text as HTML, what is between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _picture(one: Lecture) -> str:
    drawing, pixels = one.folder / "figure.svg", one.folder / "figure.png"
    if not (one.finding and drawing.is_file() and pixels.is_file()):
        return ""
    path, kind = (drawing, "svg+xml") if drawing.stat().st_size <= SVG else (pixels, "png")
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img alt="{html.escape(one.claim)}" src="data:image/{kind};base64,{data}"></figure>'


def _checks(one: Lecture) -> str:
    return table(
        [
            {
                "what": Cell(check["what"], kind="wide"),
                "expected": Cell(check["expected"]),
                **{f"seed {seed}": Cell.number(number(value), value) for seed, value in check["values"].items()},
                "": Cell("holds" if check["holds"] else "DOES NOT HOLD", kind="" if check["holds"] else "not"),
            }
            for check in one.finding["checks"]
        ]
    )


def _checks_in_markdown(one: Lecture) -> list[str]:
    checks = one.finding["checks"]
    if not checks:
        return []
    seeds = [f"seed {seed}" for seed in checks[0]["values"]]
    rows = [["what", "expected", *seeds, ""], ["---", "---", *("--:" for _ in seeds), "---"]]
    for check in checks:
        values = [number(value) for value in check["values"].values()]
        rows.append([check["what"], check["expected"], *values, "holds" if check["holds"] else "**does not hold**"])
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
