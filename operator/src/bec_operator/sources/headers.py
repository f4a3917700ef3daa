"""A line of a list of comma-separated values, where it names columns or seems to."""

import re
from difflib import get_close_matches

LAYOUTS = {
    2: ("w_id", "i_id"),
    3: ("w_id", "i_id", "i_version"),
    4: ("w_id", "i_id", "source", "i_version"),
}
COLUMNS = (*LAYOUTS[4], "site")  # the last one where a header names it
EXPECTED = (
    "expected w_id,i_id or w_id,i_id,i_version or w_id,i_id,source,i_version, "
    "or a header line that names the columns"
)

# What people call these columns, without `_`, `-` and blanks.
_CALLED = {
    "w_id": ("wid", "w", "work", "workid", "werk", "werkid"),
    "i_id": (
        *("iid", "i", "volume", "volumeid", "vol", "volid", "item", "itemid", "band"),
        *("imagegroup", "imagegroupid", "instance", "instanceid", "imageinstance"),
    ),
    "source": ("source", "src", "library", "collection"),
    "i_version": ("iversion", "version", "versionid", "ver", "revision", "rev", "hash", "etag"),
}
_SPELT = {column.replace("_", ""): column for column in COLUMNS}
_MEANT = {called: column for column, all_called in _CALLED.items() for called in all_called}

_COLUMN_NAMES = {"w_id", "i_id", "i_version"}
_AS_IN_JSON = {"wId", "iId", "iVersion"}

# Words of headings: a line of nothing else names columns, and no volume.
_WORDS = {
    *("wid", "w", "iid", "i", "id", "ids", "iversion", "version", "versions", "ver", "rev"),
    *("revision", "source", "src", "work", "works", "workid", "volume", "volumes", "volumeid"),
    *("vol", "vols", "volid", "item", "items", "itemid", "image", "images", "imagegroup", "group"),
    *("imagegroupid", "imageinstance", "imageinstanceid", "instance", "instances", "instanceid"),
    *("identifier", "identifiers", "name", "names", "title", "titles", "number", "no", "nr", "num"),
    *("count", "of", "pages", "page", "key", "code", "ref", "reference", "label", "scan", "scans"),
    *("library", "collection", "shelfmark", "barcode", "status", "date", "path", "folder"),
    *("prefix", "url", "uri", "etag", "hash", "sha", "md", "bdrc", "bdr", "mw", "type", "index"),
    *("site", "sites"),
    *("werk", "werke", "band", "bild", "bilder", "titel", "nummer", "signatur", "seite", "seiten"),
    *("column", "columns", "col", "field", "fields", "spalte", "feld", "rid"),
}
_WORD = re.compile(r"[A-Z]*[a-z]+|[A-Z]+|[^A-Za-z_\-. /()]")
# What programs call a column that has no name: Excel, databases, pandas, Spark.
_DEFAULT_NAME = re.compile(
    r"(?:column|col|field|spalte|feld|colonne|columna|coluna|campo|unnamed: |_c)[ _.-]?\d+",
    re.IGNORECASE,
)
_LEAST_WORD = 3  # letters of a word that a number may follow in a heading: W1 and MW1 are ids
_DIGIT = re.compile(r"\d")
_SAID_AT_MOST = 40  # characters of what stands there
_NEAR = 0.75  # how alike two names are of which one may be meant for the other


def named_columns(fields: list[str]) -> tuple[str, ...] | None:
    """Return the columns that a header line names; None if it is none.

    They may be called as in JSON Lines. Raises ValueError for a header that cannot be used.
    """
    if (
        any(map(has_digit, fields))
        and not any("id" in field.lower() for field in fields)
        and not _DEFAULT_NAME.fullmatch(fields[0])
    ):
        return None  # as nearly all
    names = tuple(map(_column, fields))
    if {"w_id", "i_id"} <= set(names):
        for name in names:
            if name not in COLUMNS or names.count(name) > 1:
                raise ValueError(_unusable(fields, fields[names.index(name)]))
        return names
    if all(_is_heading(field) for field in fields):
        raise ValueError(_unusable(fields))
    return None


def has_digit(text: str) -> bool:
    """Whether a digit stands there, of any script: ids have one as a rule, headings have none."""
    return _DIGIT.search(text) is not None


def is_numbered_heading(field: str) -> bool:
    """Whether a text has only words of headings, the first a long one, and numbers or none."""
    if not begins_like_heading(field):
        return False
    words = _WORD.findall(_DIGIT.sub(" ", field))
    return any(len(word) >= _LEAST_WORD for word in words) and all(
        word.lower() in _WORDS for word in words
    )


def begins_like_heading(line: str) -> bool:
    """Whether a line's first word is one of headings; quick, as it is asked of each line."""
    if not line[:_LEAST_WORD].isalpha():
        return False
    word = _WORD.match(line)
    return word is not None and word[0].lower() in _WORDS


def names_a_column(field: str) -> bool:
    """Whether a text is the name of a column, and so not an id."""
    return field.lower() in _COLUMN_NAMES or field in _AS_IN_JSON


def short(text: str) -> str:
    """Quote so much of a text as tells what it is: it may be anything that stood in its place."""
    return repr(text) if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]!r}…"


def meant_column(name: str) -> str | None:
    """Return the column that a name was probably meant for."""
    plain = _plain(name[:_SAID_AT_MOST])
    near = [plain] if plain in _MEANT else get_close_matches(plain, _MEANT, 1, _NEAR)
    return _MEANT[near[0]] if near else None


def _unusable(fields: list[str], wrong: str | None = None) -> str:
    """Say what is wrong with a header, and which one was probably meant."""
    columns = [_column(field) or meant_column(field) for field in fields[: len(COLUMNS)]]
    if wrong is not None:
        said = f"the header has the column {short(wrong)} which is unknown or there twice"
    else:
        listed = ", ".join(short(field) for field in fields[:4])
        said = f"this looks like a header, whose columns are unknown here: {listed}"
    said += f"; columns are {', '.join(COLUMNS)}"
    known = [column for column in columns if column is not None]
    if len(set(known)) == len(fields) and {"w_id", "i_id"} <= set(known):
        return f"{said}: write {','.join(known)} if that is meant"
    return f"{said}: name two to five of them, and leave other columns out"


def _plain(field: str) -> str:
    return re.sub(r"[\W_]", "", field).lower()


def _column(field: str) -> str:
    """Return the column that a field of a header names, however it is spelt."""
    return _SPELT.get(_plain(field), "")


def _is_heading(field: str) -> bool:
    if _DEFAULT_NAME.fullmatch(field):
        return True
    words = _WORD.findall(field)
    return bool(words) and all(word.lower() in _WORDS for word in words)
