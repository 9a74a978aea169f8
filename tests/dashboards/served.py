"""TensorBoard over a folder as a user starts it, and the requests that its web page makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ALL = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


class Page:
    """What the web page at an address can ask for."""

    def __init__(self, address: str):
        self.address = address

    def read(self, route: str, body: dict[str, Any] | None = None, **query: Any) -> bytes:
        """The answer of `/data/plugin/<route>`; with a body it is a POST."""
        question = f"{self.address}data/plugin/{route}?{urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(question, data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def ask(self, route: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        return json.loads(self.read(route, body, **query))

    def tags(self, plugin: str, run: str) -> set[str]:
        return set(self.ask(f"{plugin}/tags").get(run, ()))

    def sessions(self) -> dict[str, dict[str, Any]]:
        """Rows of the HParams tab by their run's name."""
        body = {"allowedStatuses": ALL, "startIndex": 0, "sliceSize": 100}
        groups = self.ask("hparams/session_groups", body).get("sessionGroups", [])
        return {group["sessions"][0]["name"]: group for group in groups}


@contextmanager
def served(folder: Path, *, runs: int) -> Iterator[Page]:
    """TensorBoard on a port of its own, once it has read so many runs to their ends: their options are written last."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder.name, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, cwd=folder.parent, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = iter(process.stderr.readline, "")
            (address,) = next(found for line in said if (found := re.findall(r"at (http://\S+) \(Press", line)))
            page, until = Page(address), time.monotonic() + 60
            while len(rows := page.sessions()) < runs:
                assert time.monotonic() < until, f"after a minute there are {sorted(rows)}"
                time.sleep(0.05)
            yield page
        finally:
            process.terminate()
