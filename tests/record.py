"""A pytest plugin that records which conformance tests each framework passes, in files in ``docs/conformance``.

``--record=write`` writes the files of the tested frameworks, ``--record=check`` fails if a file differs from what the
run shows. The tables of ``docs/frameworks.md`` are generated from the files.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter, defaultdict
from pathlib import Path

RECORD_FOLDER = Path(__file__).parent.parent / "docs" / "conformance"
TRACER_TEST_PREFIXES = ("tests/tracers/test_", "tests/distributed/test_")
ARRAY_CLASSES_RECORD = "arrays_with_meaning"
"""The file with what passed for each class of arrays of `tests/science/arrays_with_meaning.py`, and what is refused."""
DEPLOYMENT_RECORD = "deployment"
"""The file with what came of the networks of `tests/deployment` in each runtime."""


class ConformanceRecorder:
    """A pytest plugin that collects the results of a run, and writes or checks the files of the record.

    Attributes:
        mode: ``"write"`` or ``"check"``.
        areas: the number of passed and skipped tests by framework and area, which is the name of a test.
        tracers: the passed tests of tracers by framework.
        array_classes: the number of passed tests by class of arrays and area.
        refusals: the codes of the errors for what a class of arrays does not define, by class and operation.
        deployments: for each runtime what came of each network that was exported to it.
        failed: whether a test failed.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.areas: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        self.tracers: dict[str, list[str]] = defaultdict(list)
        self.array_classes: dict[str, Counter] = defaultdict(Counter)
        self.refusals: dict[str, dict[str, str]] = defaultdict(dict)
        self.deployments: dict[str, dict[str, str]] = defaultdict(dict)
        self.failed = False

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = True
        if report.when == "setup" and not report.skipped:
            return
        if report.when == "teardown":
            return
        file, _, rest = report.nodeid.partition("::")
        name = rest.partition("[")[0].rpartition("::")[2].removeprefix("test_")
        if file.startswith(TRACER_TEST_PREFIXES):
            framework = file.rpartition("/test_")[2].removesuffix(".py")
            if report.passed and name not in self.tracers[framework]:
                self.tracers[framework].append(name)
        elif file.endswith("backends/test_conformance.py"):
            framework = dict(report.user_properties).get("framework")
            if framework and report.passed:
                self.areas[framework][name]["passed"] += 1
            elif framework and report.skipped:
                self.areas[framework][name]["skipped"] += 1
        elif file.endswith("deployment/test_deployment.py") and report.passed:
            runtime, network, outcome = dict(report.user_properties)["deployment"]
            self.deployments[runtime][network] = outcome
        elif file.endswith("science/test_arrays_with_meaning.py") and report.passed:
            cls = dict(report.user_properties).get("array_class")
            if cls:
                self.array_classes[cls][name] += 1
                self.refusals[cls] |= dict([value for key, value in report.user_properties if key == "refusal"])

    def make_records(self) -> dict[str, dict]:
        """Return the contents of the file of each tested framework, as far as this run shows them."""
        from backends.frameworks import FRAMEWORKS

        by_name = {framework.name: framework for framework in FRAMEWORKS}
        records: dict[str, dict] = {}
        for name in sorted({*self.areas, *self.tracers}):
            records[name] = {"tracers": sorted(self.tracers[name])} if name in self.tracers else {}
            if name in self.areas:
                framework = by_name[name]
                areas = {area: dict(counts) for area, counts in self.areas[name].items() if counts["passed"]}
                records[name] |= {"version": framework.version(), "areas": areas}
                records[name]["unsupported_dtypes"] = framework.unsupported_dtypes
                if framework.copying_operations:
                    records[name]["copying_operations"] = framework.copying_operations
        if self.array_classes:
            from science.arrays_with_meaning import ARRAY_CLASSES

            records[ARRAY_CLASSES_RECORD] = {
                "array_classes": {
                    name: {"areas": areas, "refusals": self.refusals[name]}
                    for name, areas in self.array_classes.items()
                },
                "versions": {cls.name: cls.version() for cls in ARRAY_CLASSES if cls.name in self.array_classes},
            }
        if self.deployments:
            from deployment.runtimes import RUNTIMES

            tested = [runtime for runtime in RUNTIMES if runtime.name in self.deployments]
            records[DEPLOYMENT_RECORD] = {
                "deployments": {
                    runtime.name: {"options": runtime.options, "networks": self.deployments[runtime.name]}
                    for runtime in tested
                },
                "versions": {runtime.name: runtime.version() for runtime in tested},
            }
        return records

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput") or self.failed:
            return
        RECORD_FOLDER.mkdir(exist_ok=True)
        differences = []
        for name, new in self.make_records().items():
            path = RECORD_FOLDER / f"{name}.json"
            recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if self.mode == "write":
                path.write_text(_to_json_text({**recorded, **new}), encoding="utf-8")
                continue
            versions = {key: recorded[key] for key in ("version", "versions") if key in recorded}
            before, after = (
                _to_json_text(record).splitlines() for record in (recorded, {**recorded, **new, **versions})
            )
            differences += difflib.unified_diff(
                before, after, f"{path.name}: recorded", f"{path.name}: measured", n=1, lineterm=""
            )
        if differences:
            session.exitstatus = 1
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line(
                "docs/conformance differs from the results of this run; update it with --record=write", red=True
            )
            for line in differences:
                reporter.write_line(line)


def _to_json_text(record: dict) -> str:
    """Return a record as JSON text."""
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
