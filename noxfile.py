"""Sessions that test and build plait, each in its own environment: ``nox`` runs all tests, ``nox -l`` lists them.

Arguments after ``--`` are passed to pytest: ``nox -R -s tests -- -m "not slow"`` runs the fast tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # the first version that reads dependency groups
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = "CI" in os.environ  # elsewhere nox names the sessions that it skips

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.14t")
"""The supported versions of Python; ``t`` is a free-threaded build, which has no global interpreter lock."""
CORE_TESTS = (
    *("tests/notation", "tests/shapes", "tests/plan", "tests/operations", "tests/executor", "tests/test_layering.py"),
    *("tests/test_imports.py", "tests/test_cli.py"),
)
"""The tests of the core; those of them that need a framework are skipped."""

CONFORMANCE_TESTS = tuple(
    f"tests/backends/test_{name}.py" for name in ("conformance", "einsum", "framework_errors", "source")
)
"""The tests that every framework has to pass."""
OTHER_FRAMEWORK_TESTS = (
    "tests/backends/test_loading.py::test_a_tensor_loads_its_own_backend_and_no_other",
    "tests/backends/test_max_rank.py",
)
"""The tests of every framework that are not recorded."""
BASE_FRAMEWORKS = ("numpy", "torch", "array_api_strict")
"""The frameworks of the session `tests`."""
JOINT_FRAMEWORKS = ("jax", "tensorflow", "keras", "mlx", "tinygrad", "pytensor", "sparse", "ndonnx", "cupy")
"""The frameworks of the session `frameworks`, which can be imported together."""
LAYER_FRAMEWORKS = ("flax", "nnx", "equinox", "haiku", "keras", "tensorflow", "mlx")
"""The frameworks of the session `frameworks` that have layers."""
DEPLOYMENT_PACKAGES = ("coremltools", "executorch", "ncnn", "onnx", "onnxruntime", "onnxscript", "openvino", "pnnx")
"""The packages of the session `deployment`, by the names that are imported."""
SCIENCE_PACKAGES = (
    *("pint", "astropy", "unyt", "quantities", "uncertainties", "galois", "numpy_quaddtype", "dask"),
    *("awkward", "blosc2", "cubed", "h5py", "pandas", "polars", "pyarrow", "scipy", "sparse", "tensorstore"),
    *("xarray", "zarr"),
)
"""The packages that the session `science` must not lack, by the names that are imported."""
LEGACY_REQUIREMENTS = ("numpy==1.23.5", "setuptools<60", "wheel")
"""The packages that must be installed before Chainer 7.8.1 and MXNet 1.9.1."""
NEWEST_FRAMEWORKS = ("numpy", "array_api_strict", "jax", "pytensor", "sparse", "dask")
"""The frameworks of the session `newest`."""
NEWEST_LAYER_FRAMEWORKS = ("flax", "nnx", "equinox", "haiku")
"""The frameworks of the session `newest` that have layers."""
OLDEST_FRAMEWORKS = ("numpy", "torch", "array_api_strict", "jax", "dask")
"""The frameworks of the session `oldest`."""
KERNELS_FOLDER = "./packages/kernels"
"""The distribution `plait-kernels`, which the extra `fast` installs."""
EXTRA_PACKAGES = ("plait_kernels", "opt_einsum", "sklearn", "PIL", "rich", "jinja2")
"""The packages of the extras, by the names that are imported."""


def find_interpreters() -> dict[str, str]:
    """Return the path of each supported Python on this machine, in ``PATH`` or in pyenv, by version."""
    interpreters = {}
    for version in PYTHONS:
        candidates = [f"python{version}"]
        if shutil.which("pyenv"):
            latest = _command_output("pyenv", "latest", version)
            prefix = _command_output("pyenv", "prefix", latest) if latest else ""
            candidates += [f"{prefix}/bin/python"] if prefix else []
        candidates.insert(0, sys.executable)
        working_paths = [path for path in candidates if _python_version(path) == version]
        if working_paths:
            interpreters[version] = working_paths[0]
    return interpreters


def _python_version(path: str) -> str:
    """Return the version of a Python, such as ``"3.14t"``, or ``""`` if there is none at this path."""
    code = "import sys, sysconfig; v = sys.version_info; t = sysconfig.get_config_var('Py_GIL_DISABLED')"
    return _command_output(path, "-c", code + "; print(f'{v[0]}.{v[1]}' + 't' * bool(t))")


def _command_output(*command: str) -> str:
    """Return what a command prints, or ``""`` if it fails."""
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return process.stdout.strip() if process.returncode == 0 else ""


def install(session: nox.Session, group: str, *packages: str, extras: str = "") -> None:
    """Install plait with extras, a dependency group of pyproject.toml, and other packages, in one resolution.

    For the extra ``fast`` the kernels are built from this repository; without a C++ compiler it is left out.
    """
    names = [name for name in extras.split(",") if name]
    if "fast" in names:
        if find_compiler(session) is None:
            names.remove("fast")
        else:
            packages += (KERNELS_FOLDER,)
    session.install(f".[{','.join(names)}]" if names else ".", *dependency_group(group), *packages)


def find_compiler(session: nox.Session) -> str | None:
    """Return the name of a C++ compiler; without one the session says so, and in CI it fails."""
    names = (os.environ.get("CXX", "g++"), "clang++")
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        message = f"this machine has no C++ compiler ({' or '.join(names)}), which plait-kernels is built with"
        if "CI" in os.environ:
            session.error(message)
        session.warn(message)
    return found


def dependency_group(name: str) -> tuple[str, ...]:
    """Return the packages of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the fast tests with NumPy and the array API standard; they take less than three minutes on two cores."""
    install(session, "quick")
    ignored = (
        "tracers",
        "distributed",
        "deployment",
        "layers",
        "layers_by_framework",
        "pytorch",
        "kernels",
        "test_digits.py",
    )
    files = ["tests", *[f"--ignore=tests/{path}" for path in ignored]]
    run_pytest(session, ("numpy", "array_api_strict"), *files, "-m", "not slow", record=False)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests with NumPy, PyTorch and the array API standard."""
    install(session, "tests", extras="einsum,fast,tour")
    required = (*EXTRA_PACKAGES, "ml_dtypes", "cotengra", "einops", "mypy")
    other_layer_tests = {*Path("tests/layers_by_framework").glob("test_*.py")} - {*map(Path, layer_tests("torch"))}
    ignored = [
        "tests/tracers",
        "tests/distributed",
        "tests/deployment",
        "tests/science",
        *map(str, sorted(other_layer_tests)),
    ]
    run_pytest(
        session,
        BASE_FRAMEWORKS,
        "tests",
        *[f"--ignore={path}" for path in ignored],
        required=required,
        layers=("torch",),
    )


@nox.session
def frameworks(session: nox.Session) -> None:
    """Run the conformance suite, the tracer tests and the layer tests with `JOINT_FRAMEWORKS`."""
    install(session, "frameworks")
    backend_tests = ("tests/backends/test_cupy_functions_exist.py", "tests/backends/test_reductions.py")
    protocol_tests = ("tests/tracers/test_jax_protocols.py",)
    framework_tests = (
        *backend_tests,
        *protocol_tests,
        *tracer_tests(*JOINT_FRAMEWORKS),
        *layer_tests(*LAYER_FRAMEWORKS),
    )
    run_pytest(
        session, JOINT_FRAMEWORKS, *CONFORMANCE_TESTS, *OTHER_FRAMEWORK_TESTS, *framework_tests, layers=LAYER_FRAMEWORKS
    )


@nox.session
def paddle(session: nox.Session) -> None:
    """Run the tests with PaddlePaddle, which crashes in a process that has imported TensorFlow."""
    install(session, "paddle")
    run_pytest(
        session,
        ("paddle",),
        *CONFORMANCE_TESTS,
        *OTHER_FRAMEWORK_TESTS,
        *tracer_tests("paddle"),
        *layer_tests("paddle"),
        layers=("paddle",),
    )


def deployment(session: nox.Session) -> None:
    """Export networks of PyTorch to the runtimes of servers and devices, and compare what these give."""
    install(session, "deployment")
    run_pytest(session, ("torch",), "tests/deployment", required=DEPLOYMENT_PACKAGES)


def legacy(session: nox.Session) -> None:
    """Run the tests with Chainer and MXNet, on the last version of NumPy that they support."""
    session.install(*LEGACY_REQUIREMENTS)
    session.install("--no-build-isolation", "chainer==7.8.1")
    session.install("--no-deps", "mxnet==1.9.1")
    install(session, "legacy", *LEGACY_REQUIREMENTS)
    names = ("numpy", "chainer", "mxnet")
    layers = ("chainer", "gluon")
    run_pytest(
        session,
        names,
        *CONFORMANCE_TESTS,
        *OTHER_FRAMEWORK_TESTS,
        *tracer_tests(*names[1:]),
        *layer_tests(*layers),
        layers=layers,
    )


@nox.session
def machines(session: nox.Session) -> None:
    """Run the tests of distributed arrays (Dask, PyTorch's DTensor, JAX's shardings) with several local processes."""
    install(session, "machines")
    required = ("torch", "jax", "distributed")
    run_pytest(session, ("dask",), *CONFORMANCE_TESTS, *OTHER_FRAMEWORK_TESTS, "tests/distributed", required=required)


def newest(session: nox.Session) -> None:
    """Run the fast tests with the newest releases, on a newer Python than that of the other sessions."""
    install(session, "newest")
    run_pytest(
        session,
        NEWEST_FRAMEWORKS,
        *CONFORMANCE_TESTS,
        *tracer_tests("jax", "pytensor"),
        "tests/executor/test_threads.py",
        "tests/layers",
        *[f"tests/layers_by_framework/test_{name}.py" for name in NEWEST_LAYER_FRAMEWORKS],
        "-m",
        "not slow",
        layers=NEWEST_LAYER_FRAMEWORKS,
        record=False,
    )


def newest_torch(session: nox.Session) -> None:
    """Run the fast tests of PyTorch with its newest release; it takes 6 GB, so that `nox` alone does not run it."""
    install(session, "newest-torch")
    torch_tests = ("tests/pytorch", "tests/layers", "tests/layers_by_framework/test_torch.py")
    run_pytest(session, ("torch",), *CONFORMANCE_TESTS, *torch_tests, "-m", "not slow", layers=("torch",), record=False)


def oldest(session: nox.Session) -> None:
    """Run the conformance suite, and the tests of what the extras add, with the oldest supported releases."""
    install(session, "oldest", extras="fast")
    tests_of_extras = ("tests/executor/test_options.py", "tests/kernels", "tests/tour")
    run_pytest(
        session,
        OLDEST_FRAMEWORKS,
        *CONFORMANCE_TESTS,
        "tests/backends/test_reductions.py",
        *tests_of_extras,
        "--deselect=tests/executor/test_options.py::test_einsum_needs_memory_of_its_result_only",  # as NumPy 2 measures
        "-m",
        "not slow",
        required=EXTRA_PACKAGES,
        record=False,
    )


def science(session: nox.Session) -> None:
    """Run the tests of arrays with units, masks, labels and other meanings of their own, each with the real package."""
    install(session, "science")
    run_pytest(session, ("numpy",), "tests/science", required=SCIENCE_PACKAGES)
    suite = [path for path in CONFORMANCE_TESTS if "test_source" not in path]  # these have no generated source
    run_pytest(session, ("scipy", "blosc2", "cubed"), *suite, *OTHER_FRAMEWORK_TESTS)
    suite = [path for path in suite if "test_framework_errors" not in path]  # it calls the backend of what is inside
    run_pytest(session, ("xarray",), *suite, *OTHER_FRAMEWORK_TESTS)


def tracer_tests(*names: str) -> list[str]:
    """Return the files with tests of the tracers and compilers of these frameworks."""
    return [path for name in names if Path(path := f"tests/tracers/test_{name}.py").exists()]


def layer_tests(*names: str) -> list[str]:
    """Return the tests of the layers of these frameworks: the common ones, and a file for each framework."""
    shared = ["tests/layers", "tests/test_digits.py", "tests/static/test_type_hints.py"]
    return [*shared, *(f"tests/layers_by_framework/test_{name}.py" for name in names)]


def run_pytest(
    session: nox.Session,
    names: tuple[str, ...],
    *args: str,
    required: tuple[str, ...] = (),
    layers: tuple[str, ...] = (),
    record: bool = True,
) -> None:
    """Run pytest with these frameworks.

    The session fails if a framework or a required package is missing, or if the results differ from the conformance
    record in ``docs/conformance``.
    """
    if "plait_kernels" in required and find_compiler(session) is None:
        required = tuple([name for name in required if name != "plait_kernels"])
    env = {
        "PLAIT_FRAMEWORKS": ",".join(names),
        "PLAIT_LAYERS": ",".join(layers),
        "PLAIT_REQUIRED": ",".join((*names, *required)),
    }
    check = ["--record=check"] if record and not session.posargs else []
    session.run("python", "-m", "pytest", "-n", "2", *args, *check, *session.posargs, env=env)


def core(session: nox.Session) -> None:
    """Run the tests of the core without any framework."""
    install(session, "core")
    session.run("python", "-m", "pytest", "-q", *CORE_TESTS, *session.posargs)


def core_free_threaded(session: nox.Session) -> None:
    """Run the tests of the core, and those of threads with NumPy, without the global interpreter lock."""
    install(session, "core", "numpy")
    tests = [*CORE_TESTS, *session.posargs]
    session.run("python", "-m", "pytest", "-q", *tests, env={"PLAIT_FRAMEWORKS": "numpy", "PYTHON_GIL": "0"})


@nox.session
def kernels(session: nox.Session) -> None:
    """Build plait-kernels as it is released, from the source distribution to the wheel, and test the wheel."""
    if find_compiler(session) is None:
        session.skip("there is no C++ compiler")
    session.install(*dependency_group("kernels"))
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    # without options `build` makes the source distribution, and the wheel from it
    session.run("python", "-m", "build", "--outdir", str(folder), KERNELS_FOLDER)
    (wheel,) = folder.glob("*.whl")
    if sys.platform == "linux":
        session.run("auditwheel", "repair", "--wheel-dir", str(folder / "manylinux"), str(wheel))
        (wheel,) = (folder / "manylinux").glob("*-py3-none-manylinux_*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.run("python", "-m", "pytest", "-n", "2", f"{KERNELS_FOLDER}/tests", *session.posargs)


@nox.session
def kernels_sanitizers(session: nox.Session) -> None:
    """Test plait-kernels with the sanitizers of addresses, of undefined behaviour, and of threads."""
    compiler = find_compiler(session)
    if compiler is None:
        session.skip("there is no C++ compiler")
    if sys.platform != "linux":
        session.skip("the sanitizers are set up for Linux")
    session.install(*dependency_group("kernels"))
    settings = (
        *(
            "cmake.define.PLAIT_SANITIZE=address,undefined",
            "cmake.build-type=Debug",
            "cmake.define.CMAKE_CXX_FLAGS=-O1",
        ),
        *("install.strip=false", "build-dir=build/sanitizers"),
    )
    session.install("--no-deps", *[f"--config-settings={setting}" for setting in settings], KERNELS_FOLDER)
    library = "libasan.so" if "clang" not in compiler else "libclang_rt.asan.so"
    env = {
        "LD_PRELOAD": _command_output(compiler, f"-print-file-name={library}"),
        "ASAN_OPTIONS": "detect_leaks=0",  # those of Python
        "PLAIT_EXAMPLES": "2",
    }
    tests = f"{KERNELS_FOLDER}/tests"
    session.run("python", "-m", "pytest", "-n", "2", "-m", "not slow", tests, *session.posargs, env=env)
    session.run("python", f"{tests}/fuzz.py", "--minutes", "1", env=env)
    program = str(Path(session.create_tmp()) / "pool")
    sources = [*Path(f"{KERNELS_FOLDER}/csrc").glob("*.cpp"), Path(f"{tests}/cpp/pool.cpp")]
    options = ("-std=c++17", "-O1", "-g", "-fsanitize=thread", "-pthread", "-DPLAIT_INSTRUCTION_SET=baseline")
    session.run(compiler, *options, f"-I{KERNELS_FOLDER}/csrc", *map(str, sources), "-o", program, external=True)
    session.run(program, env={"TSAN_OPTIONS": "die_after_fork=0"}, external=True)


def skip_missing(session: nox.Session) -> None:
    """Skip the tests of the core on a version of Python that this machine lacks."""
    session.skip(f"this machine has no Python {session.name.removeprefix('core-')}")


def register_default_session(function: Callable[[nox.Session], None], name: str, *versions: str) -> None:
    """Add a session to those that ``nox`` runs, on the first of these versions of Python that is on this machine.

    If there is none, nox says so; in CI that is an error.
    """
    nox.session(python=next(filter(None, map(interpreters.get, versions)), versions[0]), name=name)(function)
    default_sessions.append(name)


interpreters = find_interpreters()
default_sessions = [
    "tests",
    "kernels",
    "kernels_sanitizers",
    "ratios",
    "frameworks",
    "paddle",
    "machines",
    "deployment",
]
register_default_session(legacy, "legacy", "3.11")
register_default_session(deployment, "deployment", "3.11")  # for which all of the converters have wheels
register_default_session(science, "science", "3.12")  # which NumPy 2.5 needs at least
register_default_session(newest, "newest", "3.13", "3.14")
register_default_session(oldest, "oldest", "3.10")
nox.session(python=interpreters.get("3.11", "3.11"), name="newest-torch")(newest_torch)
for version in PYTHONS:
    if version in interpreters:
        register_default_session(core_free_threaded if version.endswith("t") else core, f"core-{version}", version)
    else:
        nox.session(venv_backend="none", name=f"core-{version}")(skip_missing)
        default_sessions.append(f"core-{version}")
nox.options.sessions = default_sessions


@nox.session
def lint(session: nox.Session) -> None:
    """Run Ruff, its formatter, and mypy --strict."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Print the overhead of calls, compared with native code, einops and einx."""
    install(session, "bench", extras="einsum,fast")
    session.run("python", "-m", "benchmarks.overhead", *session.posargs)


@nox.session
def ratios(session: nox.Session) -> None:
    """Fail if the time of a reduction or a copy, relative to einops, is worse than in the baseline."""
    install(session, "bench", extras="einsum,fast")
    frameworks = ["--framework=numpy", "--framework=torch"]
    session.run("python", "-m", "benchmarks.memory_bound", "--quick", "--check", *frameworks)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/."""
    install(session, "docs")
    session.run("zensical", "build", "--clean", "--strict", *session.posargs)
