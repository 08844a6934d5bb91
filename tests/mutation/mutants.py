"""Mutants: copies of a file in which one literal is changed, as if by a typing error.

A number gets another last digit, a word is replaced by another word of the same kind, True and
False are exchanged, a row of a table is removed, or two rows are exchanged. Docstrings, messages,
annotations and texts for readers are not changed.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

# Words that can stand for one another.
KINDS = [
    ("relu", "tanh", "sigmoid", "linear"),
    ("max", "average"),
    ("maxpool", "avgpool"),
    ("valid", "half", "ceil", "same"),
    ("bilinear", "bicubic"),
    ("he", "glorot"),
    ("normal", "fan_in"),
    ("single_view", "ten_crop", "dense"),
    ("sgd", "rmsprop"),
    ("random_crop", "centre_crop"),
    ("subtract_channel_mean", "subtract_pixel_mean"),
    ("cuda-convnet", "fb.resnet.torch"),
    ("caffe", "torch", "tf"),
    ("original", "full_preact"),
    ("A", "B", "C"),
    ("synchronized", "replica"),
    ("sum", "mean"),
]
# Calls whose texts are messages or names, and keywords and keys whose values are texts for people.
MESSAGES = re.compile(
    r"(Error|dataclass|BadImage|Fault|log|print|nearest|[gs]etattr|hasattr|Option)$"
)
TEXTS = {"place", "news", "departures", "departs", "paper", "name", "help", "title", "measured"}
TEXTS |= {"why", "what", "seed", "keep_epochs", "report"}


class Mutant(NamedTuple):
    """A file in which the characters from `start` to `end` are replaced by `new`."""

    path: str
    start: int
    end: int
    new: str

    def apply(self, text: str) -> str:
        """Return the changed text of the file."""
        return text[: self.start] + self.new + text[self.end :]

    def describe(self, text: str) -> str:
        """Return the place and the change as one line."""
        old, new = (" ".join(x.split())[:70] for x in (text[self.start : self.end], self.new))
        return f"{self.path}:{text.count(chr(10), 0, self.start) + 1}: {old} -> {new or 'nothing'}"


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Return all mutants of a Python file or a recipe."""
    text = path.read_text(encoding="utf-8")
    found = _of_recipe(text) if path.suffix == ".toml" else _of_python(text)
    name = str(path.relative_to(root))
    mutants = [Mutant(name, *x) for x in dict.fromkeys(found) if text[x[0] : x[1]] != x[2]]
    return [x for x in mutants if _parses(x.apply(text), path.suffix)]


def _parses(text: str, suffix: str) -> bool:
    try:
        tomllib.loads(text) if suffix == ".toml" else ast.parse(text)
    except (SyntaxError, tomllib.TOMLDecodeError):
        return False
    return True


def other_number(number: str) -> str:
    """Return a number with another last digit: 0.75 -> 0.76, 1e-4 -> 2e-4, 4_096 -> 4_097."""
    mantissa, *exponent = re.split("(?=e)", number, maxsplit=1)
    last = max(n for n, digit in enumerate(mantissa) if digit.isdigit())
    if mantissa[last] == "0" and mantissa.endswith(".0"):  # 1.0 -> 1.1 is no slip of a digit
        last = max(n for n, digit in enumerate(mantissa[:-2]) if digit.isdigit())
    digit = str(int(mantissa[last]) + 1) if mantissa[last] != "9" else "8"
    return "".join([mantissa[:last], digit, mantissa[last + 1 :], *exponent])


def other_word(word: str) -> str:
    """Return another word of the same kind, or the same word if none is known."""
    for kind in KINDS:
        if word in kind:
            return kind[(kind.index(word) + 1) % len(kind)]
    numbers = list(re.finditer(r"\d+", word))  # as in "conv3-256"
    if not numbers or len(word) > 60:  # a sentence
        return word
    return word[: numbers[-1].start()] + other_number(numbers[-1][0]) + word[numbers[-1].end() :]


class _Literals(ast.NodeVisitor):
    """Collector of the literals of a module that mean something to its nets or numbers."""

    def __init__(self) -> None:
        self.constants: list[ast.Constant] = []
        self.rows: list[list[tuple[ast.AST, ast.AST]]] = []  # (first, last) node of each row
        self.swapped: list[list[ast.AST]] = []  # nodes of which two neighbours can be exchanged

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool | int | float | str):
            self.constants.append(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skip f-strings, which are messages or names."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        for default in (*node.defaults, *node.kw_defaults):
            if default:
                self.visit(default)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit(node.args)
        for each in node.body:
            self.visit(each)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        for each in node.body:  # the order of the errors that are caught means nothing
            self.visit(each)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(x, ast.Name) and x.id == "__all__" for x in node.targets):
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if MESSAGES.search(ast.unparse(node.func)):
            return
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in TEXTS:
                self.visit(keyword.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        for each in node.comparators:  # the order of what is only looked up in does not matter
            if not isinstance(each, ast.Tuple | ast.Set):
                self.visit(each)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not re.match("tuple|dict|list|Callable|Mapping|Annotated", ast.unparse(node.value)):
            self.generic_visit(node)  # the others are types

    def visit_Tuple(self, node: ast.Tuple | ast.List) -> None:
        if isinstance(node.ctx, ast.Load):
            self.rows.append([(x, x) for x in node.elts])
            self.swapped.append(node.elts)
        self.generic_visit(node)

    visit_List = visit_Tuple

    def visit_Dict(self, node: ast.Dict) -> None:
        if all(node.keys):
            self.rows.append(list(zip(node.keys, node.values)))
            self.swapped.append(node.values)
        for key, value in zip(node.keys, node.values):
            if not (isinstance(key, ast.Constant) and key.value in TEXTS):
                self.visit(value)


def _of_python(text: str) -> Iterator[tuple[int, int, str]]:
    lines = [0]
    for line in text.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    if not text.isascii():  # ast counts bytes
        rows = text.splitlines()
        place = lambda row, byte: lines[row - 1] + len(rows[row - 1].encode()[:byte].decode())  # noqa: E731
    else:
        place = lambda row, byte: lines[row - 1] + byte  # noqa: E731
    found = _Literals()
    found.visit(ast.parse(text))
    for node in found.constants:
        start, end = (
            place(node.lineno, node.col_offset),
            place(node.end_lineno, node.end_col_offset),
        )
        old = text[start:end]
        if isinstance(node.value, bool):
            yield start, end, str(not node.value)
        elif isinstance(node.value, int | float):
            yield start, end, other_number(old)
        elif old[0] in "\"'" and "\n" not in old:
            yield start, end, old[0] + other_word(old[1:-1]) + old[0]
    for rows in found.rows:
        starts = [place(first.lineno, first.col_offset) for first, _ in rows]
        for start, then in pairwise(starts):
            yield start, then, ""
    for nodes in found.swapped:
        spans = [
            (place(x.lineno, x.col_offset), place(x.end_lineno, x.end_col_offset)) for x in nodes
        ]
        for (start, end), (then, last) in pairwise(spans):
            yield start, last, text[then:last] + text[end:then] + text[start:end]


def _of_recipe(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for line in text.splitlines(keepends=True):
        content = line.partition("#")[0]
        key = content.partition("=")[0].strip()
        tables = re.findall(r"^\[+([\w.]+)", content)
        if key not in TEXTS and not tables:
            for match in re.finditer(r"(?<![\w\"])-?\d[\d_.]*(?:e-?\d+)?", content):
                yield at + match.start(), at + match.end(), other_number(match[0])
            for match in re.finditer(r"\b(true|false)\b", content):
                other = "false" if match[0] == "true" else "true"
                yield at + match.start(), at + match.end(), other
            for match in re.finditer(r'"([^"]*)"', content):
                yield at + match.start(1), at + match.end(1), other_word(match[1])
        if content.strip().startswith("{"):  # an op
            yield at, at + len(line), ""
        at += len(line)
