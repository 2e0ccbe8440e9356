"""The checks of plait, each in an environment of its own: ``nox`` runs all tests, ``nox -l`` lists the sessions.

While working: ``nox -R -s tests -- -m "not slow"``, or another session with what it should run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # the first that reads dependency groups
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests", "ratios", "frameworks", "paddle", "legacy", "machines"]  # and the core, on each Python
nox.options.error_on_missing_interpreters = False

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
CORE = (
    *("tests/notation", "tests/shapes", "tests/plan", "tests/operations", "tests/executor", "tests/test_layering.py"),
    *("tests/test_imports.py", "tests/test_cli.py"),
)
"""The tests that need no framework; those of them that would use one are skipped by its name."""

SUITE = tuple(f"tests/backends/test_{name}.py" for name in ("conformance", "einsum", "source"))
LOADING = "tests/backends/test_loading.py::test_a_tensor_loads_its_own_backend_and_no_other"
BASE = ("numpy", "torch", "array_api_strict")
"""The frameworks of the session `tests`."""
TOGETHER = ("jax", "tensorflow", "keras", "mlx", "tinygrad", "pytensor", "sparse", "ndonnx", "cupy")
"""The frameworks that live in one process."""
LAYERS = ("flax", "nnx", "equinox", "haiku", "keras", "tensorflow", "mlx")
"""Those of them that have layers."""
LEGACY = ("numpy==1.23.5", "setuptools<60", "wheel")
"""What Chainer 7.8.1 and MXNet 1.9.1 need to be there before they are installed."""


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


def install(session: nox.Session, group: str, *also: str, extras: str = "") -> None:
    """Install plait with these of its extras, and a dependency group of pyproject.toml, in one resolution."""
    needed = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), group)
    session.install(f".[{extras}]" if extras else ".", *needed, *also)


@nox.session
def quick(session: nox.Session) -> None:
    """While you work: the fast tests, on NumPy and the array API standard; under three minutes on two cores."""
    install(session, "quick")
    ignored = ("tests/tracers", "tests/distributed", "tests/layers", "tests/layers_by_framework", "tests/pytorch")
    files = ["tests", *[f"--ignore={path}" for path in ignored]]
    run(session, ("numpy", "array_api_strict"), *files, "-m", "not slow", record=False)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with every framework that this session is for; `nox -s tests -- -m "not slow"` for the fast ones."""
    install(session, "tests", extras="einsum,fast,tour")
    promised = ("ml_dtypes", "cotengra", "einops", "opt_einsum", "sklearn", "PIL", "rich", "jinja2", "mypy")
    others = {*Path("tests/layers_by_framework").glob("test_*.py")} - {*map(Path, layers_by_framework("torch"))}
    ignored = ["tests/tracers", "tests/distributed", *map(str, sorted(others))]
    run(session, BASE, "tests", *[f"--ignore={path}" for path in ignored], promised=promised, layers=("torch",))


@nox.session
def frameworks(session: nox.Session) -> None:
    """The frameworks that live in one process: the conformance suite, and what their own users do with them."""
    install(session, "frameworks")
    own = ("tests/backends/test_cupy.py", *tracers(*TOGETHER), *layers_by_framework(*LAYERS))
    run(session, TOGETHER, *SUITE, LOADING, *own, layers=LAYERS)


@nox.session
def paddle(session: nox.Session) -> None:
    """PaddlePaddle, which crashes in a process that has TensorFlow."""
    install(session, "paddle")
    run(session, ("paddle",), *SUITE, LOADING, *tracers("paddle"), *layers_by_framework("paddle"), layers=("paddle",))


def legacy(session: nox.Session) -> None:
    """Chainer and MXNet, on the last NumPy that they run on."""
    session.install(*LEGACY)
    session.install("--no-build-isolation", "chainer==7.8.1")
    session.install("--no-deps", "mxnet==1.9.1")
    install(session, "legacy", *LEGACY)
    names = ("numpy", "chainer", "mxnet")
    layers = ("chainer", "gluon")
    run(session, names, *SUITE, LOADING, *tracers(*names[1:]), *layers_by_framework(*layers), layers=layers)


@nox.session
def machines(session: nox.Session) -> None:
    """Arrays that live on many machines: Dask, PyTorch's DTensor, JAX's shardings; several processes on this one."""
    install(session, "machines")
    promised = ("torch", "jax", "distributed")
    run(session, ("dask",), *SUITE, LOADING, "tests/distributed", promised=promised)


def tracers(*names: str) -> list[str]:
    """The files of tests that belong to these frameworks alone."""
    return [path for name in names if Path(path := f"tests/tracers/test_{name}.py").exists()]


def layers_by_framework(*names: str) -> list[str]:
    """The tests of the layers of these frameworks: those that all share, and each one's own."""
    return ["tests/layers", "tests/test_digits.py", *(f"tests/layers_by_framework/test_{name}.py" for name in names)]


def run(
    session: nox.Session,
    names: tuple[str, ...],
    *args: str,
    promised: tuple[str, ...] = (),
    layers: tuple[str, ...] = (),
    record: bool = True,
) -> None:
    """Run tests over these frameworks; one that is missing, or another record than is kept, fails the session."""
    env = {
        "PLAIT_FRAMEWORKS": ",".join(names),
        "PLAIT_LAYERS": ",".join(layers),
        "PLAIT_PROMISED": ",".join((*names, *promised)),
    }
    check = ["--record=check"] if record and not session.posargs else []
    session.run("python", "-m", "pytest", "-n", "2", *args, *check, *session.posargs, env=env)


def core(session: nox.Session) -> None:
    """The pure core, without any framework, on each Python that the machine has."""
    install(session, "core")
    session.run("python", "-m", "pytest", "-q", *CORE, *session.posargs)


found = interpreters()
nox.session(python=found.get("3.11", "3.11"), name="legacy")(legacy)
for version, interpreter in found.items():
    nox.session(python=interpreter, name=f"core-{version}")(core)
    nox.options.sessions.append(f"core-{version}")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, the formatter, and mypy --strict."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """The table of overheads, beside native code, einops and einx."""
    install(session, "bench", extras="einsum,fast")
    session.run("python", "-m", "benchmarks.overhead", *session.posargs)


@nox.session
def ratios(session: nox.Session) -> None:
    """Whether reductions and copies are as fast, in times of einops, as they were: no worse than by their noise."""
    install(session, "bench", extras="einsum,fast")
    frameworks = ["--framework=numpy", "--framework=torch"]
    session.run("python", "-m", "benchmarks.memory_bound", "--quick", "--check", *frameworks)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/."""
    install(session, "docs")
    session.run("zensical", "build", "--clean", "--strict", *session.posargs)
