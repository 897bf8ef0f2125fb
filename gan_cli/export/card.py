"""The model card: what a stranger must know of an exported generator, in Markdown as model hubs show it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from gan_cli.data.origin import Origin
from gan_cli.export import snippets
from gan_cli.export.exported import Exported
from gan_cli.export.measured import Measured, Metric

MARK = "\ntags:\n- gan\n- gan-cli\n"
"""In the head of every card, by which one is known."""

_WIDTH = 100
_NAMED = 20  # classes
_PRIVATE = ("root", "inception_weights")  # keys whose value is a place on somebody's disk, however it is typed
_LEFT_OUT = "(a path, left out)"


@dataclass(frozen=True)
class Card:
    """What a card tells.

    Attributes:
        title: of the model.
        file: the model's name, beside the card.
        picture: the samples' name, beside the card.
        shown: which samples those are, a clause.
        config: the run's, as plain containers.
        facts: the checkpoint's, beside the configuration.
        checked: what was found when the file was tried.
        cautions: what else must be known of this file, sentences.
    """

    title: str
    file: str
    picture: str
    shown: str
    exported: Exported
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    origin: Origin
    measured: Measured
    checked: str
    cautions: Sequence[str] = ()

    @property
    def is_onnx(self) -> bool:
        """Which of the two formats the file has."""
        return self.file.endswith(".onnx")

    def text(self) -> str:
        """The card, with the YAML head that hubs read."""
        sections = {
            "How to run it": self._running(),
            "Data": self._data(),
            "Training": self._training(),
            "How good it is": self._metrics(),
            "Intended use and limits": self._limits(),
            "Licences": self._licences(),
            "Where it comes from": self._provenance(),
        }
        body = [f"## {title}\n\n{text}" for title, text in sections.items()]
        return "\n\n".join([self._head(), f"# {self.title}", self._introduction(), *body]) + "\n"

    def _head(self) -> str:
        kind = ["pipeline_tag: unconditional-image-generation"] if self.exported.is_images else []
        library = "library_name: onnx" if self.is_onnx else "library_name: pytorch"
        return "\n".join(["---", "# license: yours to name, see Licences below", library, *kind]) + MARK + "---"

    def _introduction(self) -> str:
        exported = self.exported
        about = f", of {len(exported.classes)} classes that can be asked for" if exported.classes else ""
        which = "the exponential moving average of a generator" if exported.weights == "ema" else "a generator"
        return (
            _filled(
                f"Makes {_kind(exported.sample_shape)}{about}: {which}, trained as one half of a generative "
                f"adversarial network on {self.origin.name} with gan-cli {self.exported.version}."
            )
            + f"\n\n![Samples]({self.picture})\n\n"
            + _filled(f"*{self.shown}.*")
        )

    def _running(self) -> str:
        exported = self.exported
        stem = self.file.rpartition(".")[0]
        drawn = f"{stem}_drawn." + ("png" if exported.is_images else "csv")
        spread = {"uniform": "uniform on [-1, 1)", "normal": "standard normal"}[exported.latents.distribution]
        inputs = [f"- `latents`: float32 (N, {exported.latents.dim}), {spread}."]
        if exported.classes:
            inputs.append(f"- `labels`: int64 (N,): {_named(exported.classes)}.")
        sizes = ", ".join(map(str, exported.sample_shape))
        spans = ", in [-1, 1]; what lies beyond is to be clipped" if exported.is_images else ""
        inputs.append(f"- returned: `{exported.output_name}`, float32 (N, {sizes}){spans}.")
        if self.is_onnx:
            needed, snippet = "numpy, onnxruntime", snippets.onnx(exported, self.file, drawn)
        else:
            package = exported.architecture["_target_"].partition(".")[0]
            own = "gan-cli" if package == "gan_cli" else f"the package `{package}`, which has the network's class"
            needed, snippet = f"numpy, safetensors, torch and {own}", snippets.torch(exported, self.file, drawn)
        if exported.is_images:
            needed = f"Pillow, {needed}"
        facts = f"The same facts are in the file's {'metadata' if self.is_onnx else 'header'}."
        return f"With {needed}:\n\n```python\n{snippet}\n```\n\n" + "\n".join([*inputs, "", facts])

    def _data(self) -> str:
        origin, data = self.origin, self.config["data"]
        by = f", by {origin.by}" if origin.by else ""
        count = self.facts.get("num_samples")
        lines = [f"{origin.name[0].upper()}{origin.name[1:]}{by}." + (f" <{origin.source}>" if origin.source else "")]
        if isinstance(count, int):
            split = f" of the split `{data['split']}`" if data.get("split") else ""
            lines.append(f"{count:,} samples{split}; their digest is {_code(self.facts.get('data_digest'))}.")
        if data.get("root") and origin.by:
            lines.append("They were read from files that the user named, which gan-cli did not fetch or compare.")
        lines.append(f"Licence of the data: {origin.licence}.")
        return _filled(" ".join(lines))

    def _training(self) -> str:
        exported, measured = self.exported, self.measured
        loss, penalty = (_class(self.config[part]) for part in ("loss", "penalty"))
        seen = "" if measured.images_seen is None else f", {measured.images_seen:,} images seen"
        against = "" if penalty == "NoPenalty" else f" and the penalty {penalty}"
        told = f"{exported.step:,} steps of the generator{seen}, with the loss {loss}{against}; seed {exported.seed}."
        if measured.means:
            values = ", ".join(f"`{name}` {value:.3g}" for name, value in sorted(measured.means.items()))
            told += f" Means over the last steps: {values}; a GAN's losses say nothing about its samples."
        config = yaml.safe_dump(without_paths(self.config), sort_keys=False, allow_unicode=True, width=_WIDTH)
        return f"{_filled(told)}\n\nThe whole configuration:\n\n```yaml\n{config}```"

    def _metrics(self) -> str:
        metrics = self.measured.metrics
        if not metrics:
            return _filled(
                "Nothing was measured of these weights, or nothing is known of it here: gan-evaluate measures."
            )
        rows = ["| metric | value | ± 95 % | real data | samples | judge |", "|---|---|---|---|---|---|"]
        rows += [_row(metric) for metric in metrics]
        told = (
            f"Measured {self.measured.how}. *Real data*: what as many real samples score, as a perfect generator would."
        )
        if all(metric.half_interval is None for metric in metrics):
            told += " One draw of samples: how far another would differ is not known."
        return _filled(told) + "\n\n" + "\n".join(rows)

    def _limits(self) -> str:
        use = (
            "For teaching, experiments and comparisons of generative models; it knows nothing but the data above, "
            "imitates what is frequent among them with whatever bias they have, and may repeat samples that it was "
            "trained on. Nothing that it makes is a fact, and it was tested for no use beyond what is "
            "measured above, so do not let decisions about people depend on it."
        )
        return "\n\n".join(map(_filled, [use, *self.cautions]))

    def _licences(self) -> str:
        data = f"- The data: {self.origin.licence}."
        weights = (
            "- The weights: yours to name, with the licence of the data in mind; until you do, nobody else may be sure "
            "what is allowed."
        )
        code = "- The code of gan-cli, by which they were trained: MIT."
        return "\n".join(textwrap.fill(line, _WIDTH, subsequent_indent="  ") for line in (data, weights, code))

    def _provenance(self) -> str:
        facts = f"gan-cli {_plain(self.facts.get('gan_cli'))}, PyTorch {_plain(self.facts.get('torch'))}"
        return "\n".join(
            [
                f"- Trained with {facts}, exported with gan-cli {self.exported.version}.",
                f"- Weights: `{self.exported.weights}`, after step {self.exported.step}, as float32.",
                f"- SHA-256 of the checkpoint: `{self.exported.source}`.",
                f"- `{self.file}` when it was written: {self.checked}.",
            ]
        )


def without_paths(node: Any, key: str = "") -> Any:
    """A configuration without what tells of somebody's disk."""
    if isinstance(node, Mapping):
        return {name: without_paths(value, str(name)) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [without_paths(value, key) for value in node]
    private = isinstance(node, str) and (key in _PRIVATE or "/" in node or "\\" in node)
    return _LEFT_OUT if private else node


def _row(metric: Metric) -> str:
    return "| " + " | ".join(_cells(metric)) + " |"


def _cells(metric: Metric) -> Iterator[str]:
    yield _code(metric.name)
    for number in (metric.value, metric.half_interval, metric.floor):
        yield "" if number is None else f"{number:.4g}"
    yield f"{metric.count:,}" if metric.count else "exact"
    yield _code(metric.extractor) if metric.extractor else ""


def _kind(shape: Sequence[int]) -> str:
    if len(shape) == 1:
        return f"vectors of {shape[0]} numbers"
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'RGB'} images of {height}×{width} pixels"


def _named(classes: Sequence[str]) -> str:
    if list(classes) == [str(number) for number in range(len(classes))]:
        return f"0 to {len(classes) - 1}, as the classes are called"
    names = ", ".join(f"{number} {_plain(name)}" for number, name in enumerate(classes[:_NAMED]))
    return names + (", ..." if len(classes) > _NAMED else "")


def _class(node: Mapping[str, Any]) -> str:
    return str(node["_target_"]).rpartition(".")[2]


def _plain(text: Any) -> str:
    """A text of any origin in one line, with what Markdown takes for its own escaped."""
    letters = (letter if letter.isprintable() else " " for letter in str(text))
    return "".join(f"\\{letter}" if letter in "\\`*_|<>[]" else letter for letter in letters)


def _code(text: Any) -> str:
    """The same as code, where nothing can be escaped: what would end it is left out."""
    return "`" + "".join(letter for letter in str(text) if letter.isprintable() and letter not in "`|") + "`"


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
