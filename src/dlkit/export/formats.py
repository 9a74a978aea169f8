"""The formats: writing a file, and running it again as its users will."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn

from dlkit.export.inputs import Input
from dlkit.export.recurrence import RNN, onnx_rnn, whole

LARGEST = 1 << 30  # bytes of weights inside an ONNX file, which holds 2 GiB; more go into a file beside it
Run = Callable[..., Tensor]  # raw tensors -> the answer


class NotExportable(ValueError):
    """What a format has no operation for."""


def write_onnx(module: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[Input], output: str, path: Path) -> Run:
    """Writes model.onnx, and gives it as onnxruntime runs it on the CPU."""
    with _quiet("onnx", "torch_export"), whole():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=(tuple(one.dynamic for one in inputs),),
            input_names=[one.name for one in inputs],
            output_names=[output],
            custom_translation_table={RNN: onnx_rnn},
            verbose=False,
        )
        assert program is not None
        size = sum(tensor.nbytes for tensor in module.state_dict().values())
        program.save(path, external_data=size > LARGEST)
    with _quiet("onnx", "torch_export"):
        return run_onnx(path)


def run_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of nodes that it leaves out
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*tensors: Tensor) -> Tensor:
        given = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def write_program(
    module: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[Input], output: str, path: Path
) -> Run:
    """Writes model.pt2, and gives it as `torch.export.load` has it."""
    shapes = tuple(dict.fromkeys(one.dynamic, torch.export.Dim.DYNAMIC) for one in inputs)
    with _quiet("torch_export", "safetensors"):
        # Without this a batch or a length of 1 is held for another case, and left out of what the file takes.
        with whole(), torch.fx.experimental._config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            program = torch.export.export(
                module, example, dynamic_shapes=(shapes,), prefer_deferred_runtime_asserts_over_guards=True
            )
        _without_assertions(program)
        torch.export.save(program, path)
        return run_program(path)


def run_program(path: Path) -> Run:
    return torch.export.load(path).module()


def _without_assertions(program: torch.export.ExportedProgram) -> None:
    """Takes out what the tracer holds for true of lengths, such as that pooling leaves more than one step.

    It is true of the example, and nothing computed rests on it: the comparison on examples of other lengths shows it.
    """
    graph = program.graph_module.graph
    for node in reversed(graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


@contextmanager
def _quiet(name: str, instead: str) -> Iterator[None]:
    """Nothing of what exporters print; what they raise as one line, with the format that may do."""
    silence = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(silence), redirect_stderr(silence):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # exporters raise whatever the model's code makes them run into
        raise NotExportable(f"--format {name}: {_why(error)}; --format {instead} may take this model") from error
    finally:
        logging.disable(before)


def _why(error: BaseException) -> str:
    """The last reason behind an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
