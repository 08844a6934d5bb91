"""Mutation tests: change one literal at a time, and check that a test fails.

    python tests/mutation/run.py map                      # which tests use which file; run once
    python tests/mutation/run.py test --count 300         # test 300 mutants; can be resumed

The mutants are drawn with a fixed seed, the same number from each part of the package. Of the
recipes, only those of papers are changed, not the proxies for small data sets. Each mutant is
tested in a forked process that has imported TensorFlow but not the package. It runs the tests that
use the changed file, until one fails.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from mutants import Mutant, mutants_of
from rich.progress import track

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".mutation"  # results; ignored by git
MAP, RESULTS = HOME / "map.json", HOME / "results.jsonl"
RULES = ROOT / "tests/paper/methods/recipes.toml"
OPS = ("apply", "colour", "jpeg", "normalise", "ops", "order", "statistics", "windows")
# Parts of the package, with the files that are changed.
PARTS = {
    **{
        x: f"keras_ilsvrc/{x}/*.py"
        for x in ("nets", "layers", "accounting", "evaluation", "training")
    },
    "data": "keras_ilsvrc/data/*.py",
    "recipes": "recipes/*.toml",
}
# Tests against the papers that run first. Coverage misses some: a net is built once for all tests.
OF_PAPERS = {
    "nets": ("tests/nets/test_published", "tests/nets/test_counts", "tests/accounting/test_p"),
    "layers": ("tests/nets/test_published", "tests/nets/test_counts"),
    "accounting": ("tests/accounting/",),
    "recipe": ("tests/recipe/",),
}
METHODS = ("tests/test_methods",)  # of all other parts
LIMIT = 900  # seconds, after which a mutant counts as found
app = typer.Typer(add_completion=False)


class Verdict(NamedTuple):
    """What became of a mutant: the test that failed, or None if it lives."""

    mutant: str
    test: str | None
    seconds: float


@app.command("map")
def make_map() -> None:
    """Run the suite under coverage, and note the tests and seconds that touch each file."""
    HOME.mkdir(exist_ok=True)
    report, data = HOME / "suite.xml", HOME / "coverage"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}"]
    command += ["--cov=keras_ilsvrc", "--cov-context=test", "--cov-report="]
    status = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(data)}
    ).returncode
    if status:
        sys.exit("the tests fail without any change; mend them first")
    from coverage import CoverageData

    covered = CoverageData(str(data))
    covered.read()
    tests = defaultdict(set)
    for file in covered.measured_files():
        for contexts in covered.contexts_by_lineno(file).values():
            tests[str(Path(file).relative_to(ROOT))] |= {x.partition("|")[0] for x in contexts if x}
    seconds = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = f"{case.get('classname').replace('.', '/')}.py"
        seconds[f"{file}::{case.get('name')}"] = float(case.get("time", 0))
    MAP.write_text(
        json.dumps({"tests": {x: sorted(y) for x, y in tests.items()}, "seconds": seconds})
    )


@app.command("test")
def run(
    count: Annotated[int, typer.Option(help="Number of mutants.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    jobs: Annotated[int, typer.Option(help="Number of processes.")] = 2,
    part: Annotated[str | None, typer.Option(help="Only this part, for example nets.")] = None,
) -> None:
    """Test mutants that have not been tested yet, and print those that live."""
    known = json.loads(MAP.read_text())
    done = {}
    if RESULTS.exists():
        done = {x.mutant: x for x in (Verdict(*json.loads(y)) for y in RESULTS.open())}
    drawn = draw(count, seed, part)
    texts = {x.path: (ROOT / x.path).read_text(encoding="utf-8") for x in drawn}
    names = {x: x.describe(texts[x.path]) for x in drawn}
    left = [x for x in drawn if names[x] not in done]
    for module in ("tensorflow", "keras", "numpy", "scipy", "sklearn", "matplotlib", "pytest"):
        __import__(module)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        trees = [_copy(Path(folder) / str(number)) for number in range(jobs)]

        def judge(mutant: Mutant) -> Verdict:
            tree = trees.pop()
            started = time.monotonic()
            try:
                test = _first_failure(mutant, texts[mutant.path], tree, chosen(mutant.path, known))
            finally:
                trees.append(tree)
            return Verdict(names[mutant], test, round(time.monotonic() - started, 1))

        tested = as_completed([pool.submit(judge, mutant) for mutant in left])
        for future in track(tested, "mutants", total=len(left)):
            verdict = future.result()
            with RESULTS.open("a") as file:
                file.write(json.dumps(verdict) + "\n")
            done[verdict.mutant] = verdict
    found = [done[names[x]] for x in drawn]
    alive = [x for x in found if x.test is None]
    print(f"{len(found) - len(alive)} of {len(found)} mutants die")
    for verdict in alive:
        print(f"lives: {verdict.mutant}")


def draw(count: int, seed: int, part: str | None) -> list[Mutant]:
    """Return the same number of mutants from each part, drawn at random."""
    generator, drawn = random.Random(seed), []
    of_papers = tomllib.loads(RULES.read_text(encoding="utf-8"))["images"]
    parts = [part] if part else [*PARTS]
    for number, name in enumerate(parts):
        files = sorted(ROOT.glob(PARTS[name]))
        if name == "data":
            files = [x for x in files if x.stem in OPS]
        if name == "recipes":
            files = [x for x in files if _dataset(x) in of_papers]
        mutants = [x for file in files for x in mutants_of(file, ROOT)]
        share = count // len(parts) + (number < count % len(parts))
        drawn += generator.sample(mutants, min(share, len(mutants)))
    return drawn


def _dataset(recipe: Path) -> str:
    return tomllib.loads(recipe.read_text(encoding="utf-8"))["data"]["dataset"]


def chosen(path: str, known: dict) -> list[str]:
    """Return the tests that touch a file, file by file, those that take least time first."""
    part = "recipe" if path.startswith("recipes/") else path.split("/")[1]
    first = OF_PAPERS.get(part, METHODS)
    every = known["seconds"]
    touching = {x for x in every if x.startswith(first)}
    touching |= set(
        known["tests"].get(path) or {x for x in every if x.startswith(f"tests/{part}/")}
    )
    files, seconds = defaultdict(list), defaultdict(float)
    for test in sorted(touching):
        file = test.partition("::")[0]
        files[file].append(test)
        seconds[file] += known["seconds"].get(test, 1.0)
    order = sorted(files, key=lambda file: (not file.startswith(first), seconds[file]))
    return [test for file in order for test in files[file]]


def _copy(tree: Path) -> Path:
    """Copy what git tracks, without compiled files, and return the copy's path."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.split("\n"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _first_failure(mutant: Mutant, text: str, tree: Path, tests: list[str]) -> str | None:
    """Return the first test that fails on a mutant in a copy of the repository, or None."""
    file = tree / mutant.path
    file.write_text(mutant.apply(text), encoding="utf-8")
    answer = tree / ".answer"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        _test(tree, tests, answer)
    deadline = time.monotonic() + LIMIT
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.1)
    file.write_text(text, encoding="utf-8")
    return json.loads(answer.read_text()) if answer.exists() else "no answer"


class _First:
    """Plugin of pytest that notes the first failure."""

    test: str | None = None

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and self.test is None:
            self.test = report.nodeid

    def pytest_collectreport(self, report) -> None:
        self.pytest_runtest_logreport(report)


def _test(tree: Path, tests: list[str], answer: Path) -> None:
    """Run tests in this forked process, write the answer and end the process."""
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(tree))
    import pytest

    first = _First()
    options = ["-x", "-q", "-p", "no:cacheprovider"]
    status = pytest.main([*options, *tests], [first])
    if status == pytest.ExitCode.USAGE_ERROR:  # a test's name has gone with a row of the registry
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        status = pytest.main([*options, *files], [first])
    dead = first.test or f"pytest ended with {int(status)}"
    answer.write_text(json.dumps(dead if status else None))
    os._exit(0)


if __name__ == "__main__":
    app()
