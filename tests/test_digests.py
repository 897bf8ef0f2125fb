import hashlib

import pytest
import torch

from gan_cli.digests import digest

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([True, False])}


def test_digest_by_hand() -> None:
    expected = hashlib.sha256(b"text" + b"x torch.uint8 (3,)" + bytes([1, 2, 3])).hexdigest()
    assert digest("text", {"x": torch.tensor([1, 2, 3], dtype=torch.uint8)}) == expected


def test_order_and_storage_do_not_matter() -> None:
    strided = torch.arange(6.0).reshape(2, 3).T.contiguous().T
    assert not strided.is_contiguous()
    assert digest("t", {"b": TENSORS["b"], "a": strided}) == digest("t", TENSORS)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("u", TENSORS),
        ("t", {"a": TENSORS["a"]}),
        ("t", {"a": TENSORS["a"], "c": TENSORS["b"]}),
        ("t", TENSORS | {"a": TENSORS["a"].reshape(3, 2)}),
        ("t", TENSORS | {"a": TENSORS["a"].view(torch.int32)}),
        ("t", TENSORS | {"a": -TENSORS["a"]}),
        ("t", TENSORS | {"b": ~TENSORS["b"]}),
        ("t", TENSORS | {"c": torch.zeros(0)}),
    ],
)
def test_everything_else_does(text: str, other: dict[str, torch.Tensor]) -> None:
    assert digest(text, other) != digest("t", TENSORS)


def test_negative_zero_and_scalars_and_half_precision_have_one() -> None:
    assert digest("", {"x": torch.tensor(0.0)}) != digest("", {"x": torch.tensor(-0.0)})
    assert len(digest("", {"x": torch.tensor(1, dtype=torch.bfloat16)})) == 64
