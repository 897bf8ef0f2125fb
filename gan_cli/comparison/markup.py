"""Pieces of HTML. Whatever comes from files passes through `escape` here, so that a stranger's run stays text."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Number = float | int | None


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: not escaped yet.
        number: by which it is sorted; its column is one of numbers then.
        style: a class of the style sheet.
    """

    text: str
    number: Number = None
    style: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    is_number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """A table that can be sorted."""
    head = "".join(
        f'<th scope="col"{_class("number" if column.is_number else "")}>{escape(column.name)}</th>'
        for column in columns
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, column) for cell, column in zip(row, columns, strict=True)) + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def section(title: str, *content: str) -> str:
    """A part of the page with its heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(content) + "\n</section>\n"


def paragraph(text: str, style: str = "") -> str:
    """Text of its own; none of an empty one."""
    return f"<p{_class(style)}>{escape(text)}</p>" if text else ""


def image(png: bytes, alternative: str) -> str:
    """A picture that is part of the page."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{escape(alternative)}" src="data:image/png;base64,{data}">'


def _cell(cell: Cell, column: Column) -> str:
    styles = " ".join(filter(None, ("number" if column.is_number else "", cell.style)))
    value = "" if not column.is_number else f' data-value="{"" if cell.number is None else repr(cell.number)}"'
    return f"<td{_class(styles)}{value}>{escape(cell.text)}</td>"


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""
