"""A generator as an ONNX file, that runs without PyTorch; compared with the network before it takes its place."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gan_cli.errors import Refused, RunFailed
from gan_cli.export.exported import Exported
from gan_cli.files import replacing

SUFFIX = ".onnx"
OPSET = 18
"""What torch's exporter writes without converting; onnxruntime reads it since 1.14."""
TOLERANCE = 1e-4
"""Of the largest difference, for samples in [-1, 1]; relative to the largest value where that is more than 1."""

_MOST = 2_000_000_000  # bytes of weights: a protocol buffer ends at 2^31, and the graph takes some of them
_TRACED, _COMPARED = 2, 8  # latents; different numbers, so that a batch size that became a constant is noticed
_NEEDED = ("onnx", "onnxscript")


def check_installed() -> None:
    """Raise `Refused` where a package is lacking that writes ONNX."""
    lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise Refused(f"format=onnx needs {' and '.join(lacking)}, not installed here: pip install 'gan-cli[onnx]'")


def save(exported: Exported, path: Path) -> str:
    """Write the file, try it, and tell what was found.

    Its inputs are `latents` (N, dim) float32 and, of a conditional generator, `labels` (N,) int64; its output is
    `images` (N, C, H, W) or `samples` (N, D). N is free.

    Raises:
        Refused: a package is lacking, the weights are too many for one file, or the network cannot be written so.
        RunFailed: the file computes something else than the network; the file that was there before still is.
    """
    check_installed()
    size = sum(tensor.nbytes for tensor in exported.generator.state_dict().values())
    if size > _MOST:
        raise Refused(
            f"format=onnx: the weights take {size / 1e9:.1f} GB, and one ONNX file holds at most {_MOST / 1e9:.0f} GB: "
            "format=safetensors"
        )
    content = _serialized(exported)
    with replacing(path) as file:
        file.write(content)
        file.flush()
        return f"opset {OPSET}; " + _checked(exported, Path(file.name))


def _serialized(exported: Exported) -> bytes:
    inputs = exported.inputs(_TRACED)
    batch = torch.export.Dim("N")
    with _silence():
        try:
            program = torch.onnx.export(
                exported.generator,
                inputs,
                dynamo=True,
                input_names=exported.input_names,
                output_names=[exported.output_name],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            model: Any = program.model_proto
        except Exception as error:  # of the exporter, or of any step below it
            raise Refused(f"this generator cannot be written as ONNX: {_reason(error)}; format=safetensors") from error
    _check_free(model)
    _strip(model)
    for name, fact in exported.metadata().items():
        model.metadata_props.add(key=name, value=fact)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _reason(error: BaseException) -> str:
    """The first line of what lies at the bottom."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(". ")


def _check_free(model: Any) -> None:
    """Raise `Refused` where the number of samples became a constant."""
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise Refused(
                "this generator cannot be written as ONNX for any number of samples: its forward makes a constant of "
                "it, as len(latents) does; latents.shape[0] stays free"
            )


def _strip(model: Any) -> None:
    """Remove what the exporter notes of this machine: where the lines of the source lie, node by node."""
    for body in (model.graph, *model.functions):
        parts = [*body.node, *body.value_info]
        if body is model.graph:
            parts += [*body.input, *body.output, *body.initializer]
        for part in (body, *parts):
            part.ClearField("doc_string")
            part.ClearField("metadata_props")


def _checked(exported: Exported, path: Path) -> str:
    import onnx

    onnx.checker.check_model(str(path), full_check=True)
    try:
        import onnxruntime
    except ImportError:
        return "well-formed by onnx.checker; it was not run, as onnxruntime is not installed: pip install onnxruntime"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = exported.inputs(_COMPARED)
    fed = {name: tensor.numpy() for name, tensor in zip(exported.input_names, inputs, strict=True)}
    ours, theirs = exported.outputs(inputs), torch.from_numpy(session.run(None, fed)[0])
    if theirs.shape != ours.shape:
        raise RunFailed(f"the ONNX file makes samples of shape {(*theirs.shape,)}, the network {(*ours.shape,)}")
    difference, largest = float((ours - theirs).abs().max()), float(ours.abs().max())
    if not difference <= TOLERANCE * max(1.0, largest):  # NaN is no agreement
        raise RunFailed(
            f"the ONNX file does not compute what the network does: of {_COMPARED} samples in onnxruntime the largest "
            f"difference is {difference:.2g}, more than {TOLERANCE:g}. A forward that draws random numbers or depends "
            "on values cannot be exported"
        )
    return (
        f"{_COMPARED} samples in onnxruntime {onnxruntime.__version__} differ from the network's by at most "
        f"{difference:.1g}"
    )


@contextmanager
def _silence() -> Iterator[None]:
    """The exporter warns and logs, much of it about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
