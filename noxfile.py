"""The checks of weft, each in an environment of its own: ``nox`` runs the tests, ``nox -l`` lists the rest."""

from __future__ import annotations

import shutil
import subprocess
import sys

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests"]  # and the core, on each Python
nox.options.error_on_missing_interpreters = False

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CORE = (
    *("tests/pattern", "tests/solve", "tests/plan", "tests/ops", "tests/run", "tests/test_layering.py"),
    *("tests/test_imports.py", "tests/test_cli.py"),
)
"""The tests that need no framework; those of them that would use one are skipped by its name."""


def interpreters() -> dict[str, str]:
    """Each supported Python that this machine has: by its name, or as pyenv keeps it."""
    found = {}
    for version in PYTHONS:
        candidates = [f"python{version}"]
        if shutil.which("pyenv"):
            latest = _output("pyenv", "latest", version)
            prefix = _output("pyenv", "prefix", latest) if latest else ""
            candidates += [f"{prefix}/bin/python"] if prefix else []
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            candidates.insert(0, sys.executable)
        working = [path for path in candidates if _output(path, "-c", "print(1)") == "1"]
        if working:
            found[version] = working[0]
    return found


def _output(*command: str) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with every framework that this session is for; `nox -s tests -- -m "not slow"` for the fast ones."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-n", "2", *session.posargs, env={"WEFT_ALL_FRAMEWORKS": "1"})


def core(session: nox.Session) -> None:
    """The pure core, without any framework, on each Python that the machine has."""
    session.install(".[core-test]")
    session.run("python", "-m", "pytest", "-q", *CORE, *session.posargs)


for version, interpreter in interpreters().items():
    nox.session(python=interpreter, name=f"core-{version}")(core)
    nox.options.sessions.append(f"core-{version}")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, the formatter, and mypy --strict."""
    session.install(".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """The table of overheads, beside native code, einops and einx."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks.overhead", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/."""
    session.install(".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)
