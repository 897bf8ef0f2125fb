"""Which samples: numbers and ranges, as they are typed."""

from collections.abc import Sequence

from gan_cli.errors import Refused

_MAX_INDICES = 10_000_000


def wanted(indices: str | int | None, num_images: int) -> Sequence[int]:
    """The numbers that "0-63,100" means, or the first `num_images`.

    Raises:
        Refused: not such a list.
    """
    if indices is None:
        return range(num_images)
    ranges: list[range] = []
    for part in str(indices).split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Refused(f"indices must be numbers and ranges such as 0-63,100, got {indices}")
        ranges.append(range(int(first), int(last or first) + 1))
    count = sum(max(0, numbers.stop - numbers.start) for numbers in ranges)
    if not 0 < count <= _MAX_INDICES:
        raise Refused(f"indices={indices} names {count:,} samples: from 1 to {_MAX_INDICES:,} can be drawn at once")
    return list(dict.fromkeys(number for numbers in ranges for number in numbers))
