"""What programs leave in comma-separated values in the place of an id.

Each of these would be a volume that nobody has. In CSV they are refused; who really has such an id
writes the list as JSON Lines, where an id is taken as it stands.
"""

import re

from bec_operator.sources.headers import names_a_column

_IF_MEANT = "if it is really an id, write the list as JSON Lines"
_ERRORS = (
    *("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"),
    *("#FIELD!", "#ERROR!", "#GETTING_DATA"),
)
_NOTHING = {"null", "none", "nil", "nan", "n/a", "undefined", "(null)", "<na>", "<null>", r"\n"}
_SHORTENED = re.compile(r"[-+]?\d(?:[.,]\d+)?E[-+]\d+")
_SUMS = re.compile(
    r"(?:(?:grand|sub)[ -]?)?totals?|sums?|counts?|gesamt|summe|anzahl|insgesamt", re.IGNORECASE
)
_SUMMED = re.compile(r"[\d., ']*")
_RULER = re.compile(r"[-=_~*+:|. \u2013\u2014\u2500-\u257f]*")
_QUOTES = {"''", "``", "\u2018\u2019", "\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb"}


def is_sheet_error(text: str) -> bool:
    """Whether a text begins like an error that a spreadsheet shows in a cell."""
    return text.startswith(_ERRORS)


def no_row(fields: list[str]) -> str | None:
    """Say what stands in the place of a whole line of ids; None where it can be one."""
    if all(map(_RULER.fullmatch, fields)) and all(fields[:2]):
        said = "a ruler, as below a heading or above a sum; leave the line out"
    elif _SUMS.fullmatch(fields[0].rstrip(" :")) and all(map(_SUMMED.fullmatch, fields[1:])):
        said = "this counts the volumes, and is none; leave the line out"
    else:
        return None
    return f"{said}; {_IF_MEANT}"


def garbled(field: str, line: str) -> str | None:
    """Say what stands in the place of an id; None where it can be one. `line` is all of it."""
    said = _by_itself(field) or _in_quotes(field, line)
    return f"{said}; {_IF_MEANT}" if said else None


def _by_itself(field: str) -> str | None:
    if field.lower() in _NOTHING:
        return f"{field!r} stands for no value; leave out what is not there"
    if is_sheet_error(field):
        return f"{field!r} is an error of a spreadsheet; correct the cell"
    if _SHORTENED.fullmatch(field):
        return (
            f"{field!r} is a number that a spreadsheet has shortened; make its column a text there "
            "and export the list again"
        )
    if names_a_column(field):
        return f"{field!r} is the name of a column, as of a header that was joined to this line"
    return None


def _in_quotes(field: str, line: str) -> str | None:
    if '"' in field and '"{}"'.format(field.replace('"', '""')) not in line:
        return "a double quote stands within a value; put it around a whole value, or nowhere"
    if len(field) > 1 and field[0] + field[-1] in _QUOTES:
        return "a value stands in quotes that are no double quotes; use those, or none"
    if field.startswith(("{", "[")):
        return "this looks like JSON among comma-separated values; write all lines in one form"
    return None
