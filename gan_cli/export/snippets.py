"""How an exported file is run, as Python that can be pasted; the tests run it as it stands."""

import json
from collections.abc import Sequence

from gan_cli.export.exported import Exported

SHOWN = 16
"""Samples that a snippet draws."""


def onnx(exported: Exported, file: str, picture: str) -> str:
    """With numpy, onnxruntime and, for images, Pillow; draws samples into `picture`, or into a .csv for vectors."""
    fed = '{"latents": latents, "labels": labels}' if exported.classes else '{"latents": latents}'
    return "\n".join(
        [
            "import numpy as np, onnxruntime",
            *(["from PIL import Image"] if exported.is_images else []),
            f"model = onnxruntime.InferenceSession({_quoted(file)})",
            f"latents = {_numpy_latents(exported)}",
            *([_labels(exported, f"np.arange({SHOWN}) % {len(exported.classes)}")] if exported.classes else []),
            f"{exported.output_name} = model.run(None, {fed})[0]  # {_shape(exported)}",
            *_shown(exported, picture, exported.output_name),
        ]
    )


def torch(exported: Exported, file: str, picture: str) -> str:
    """With torch, safetensors and the module of the network's class."""
    module, _, name = exported.architecture["_target_"].rpartition(".")
    fed = "latents, labels" if exported.classes else "latents"
    made = exported.output_name
    return "\n".join(
        [
            "import json, numpy as np, torch",
            *(["from PIL import Image"] if exported.is_images else []),
            "from safetensors import safe_open",
            f"from {module} import {name}",
            "",
            f'with safe_open({_quoted(file)}, "pt") as file:',
            f'    generator = {name}(**json.loads(file.metadata()["arguments"]))',
            "    generator.load_state_dict({name: file.get_tensor(name) for name in file.keys()})",
            "generator.eval()",
            f"latents = torch.from_numpy({_numpy_latents(exported)})",
            *([_labels(exported, f"torch.arange({SHOWN}) % {len(exported.classes)}")] if exported.classes else []),
            "with torch.no_grad():",
            f"    {made} = generator({fed}).numpy()  # {_shape(exported)}",
            *_shown(exported, picture, made),
        ]
    )


def _numpy_latents(exported: Exported) -> str:
    size = f"({SHOWN}, {exported.latents.dim})"
    drawn = f"uniform(-1, 1, {size})" if exported.latents.distribution == "uniform" else f"standard_normal({size})"
    return f"np.random.default_rng(0).{drawn}.astype(np.float32)"


def _labels(exported: Exported, numbers: str) -> str:
    return f"labels = {numbers}  # each class in turn"


def _shape(exported: Exported) -> str:
    shape = (SHOWN, *exported.sample_shape)
    return f"{shape} in [-1, 1]" if exported.is_images else f"{shape}"


def _shown(exported: Exported, picture: str, made: str) -> Sequence[str]:
    if not exported.is_images:
        return [f'np.savetxt({_quoted(picture)}, {made}, delimiter=",")']
    return [
        f"row = np.hstack({made}.transpose(0, 2, 3, 1))" + ("[:, :, 0]" if exported.sample_shape[0] == 1 else ""),
        f"Image.fromarray(((row + 1) * 127.5).round().clip(0, 255).astype(np.uint8)).save({_quoted(picture)})",
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
