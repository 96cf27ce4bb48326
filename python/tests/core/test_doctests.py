"""The examples in docstrings run as they are printed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import paceline

ROOT = Path(paceline.__file__).parent
NAMES = sorted(
    str(path.relative_to(ROOT.parent).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py" and re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("paceline"):
            raise
        pytest.skip(f"{missing.name} is not installed")
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name, extraglobs=vars(paceline) | vars(module))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    for example in found:
        runner.run(example, out=told.append)
    absent = re.search(r"No module named '(?!paceline)(\w+)", "".join(told))
    if absent:
        pytest.skip(f"{absent[1]} is not installed")
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


def test_the_package_shows_how_it_is_used() -> None:
    assert {"paceline", "paceline._limiter", "paceline._events"} <= set(NAMES)


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for found in pkgutil.walk_packages([str(ROOT)], "paceline."):
        if found.name.endswith(("__main__", "_native")):
            continue
        file = ROOT.parent / Path(*found.name.split("."))
        source = (file / "__init__.py" if file.is_dir() else file.with_suffix(".py")).read_text(encoding="utf-8")
        if not source.startswith('"""'):
            silent.append(found.name)
    assert silent == []


def test_every_public_name_is_described() -> None:
    silent = []
    for name in paceline.__all__:
        value = getattr(paceline, name)
        if not (value.__doc__ or "").strip():
            silent.append(name)
            continue
        if isinstance(value, type) and value.__module__.startswith("paceline"):
            silent += [
                f"{name}.{member}"
                for member, what in vars(value).items()
                if not member.startswith("_") and (callable(what) or isinstance(what, property)) and not (getattr(what, "__doc__", "") or "").strip()
            ]
    # The protocol of coroutines is described by Python.
    assert [each for each in silent if each.split(".")[-1] not in ("send", "throw")] == []
