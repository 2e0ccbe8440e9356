"""The record of the conformance suite: which framework passed what, a file each in ``docs/conformance``.

``--record=write`` writes the files of the frameworks that the run was for, ``--record=check`` fails where a file says
something else than the run. The tables of ``docs/frameworks.md`` are made of the files.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter, defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "conformance"
TRACERS = ("tests/tracers/test_", "tests/distributed/test_")


class Record:
    """Listens to the reports of a run."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.areas: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        self.tracers: dict[str, list[str]] = defaultdict(list)
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
        if file.startswith(TRACERS):
            framework = file.rpartition("/test_")[2].removesuffix(".py")
            if report.passed and name not in self.tracers[framework]:
                self.tracers[framework].append(name)
        elif file.endswith("backends/test_conformance.py"):
            framework = dict(report.user_properties).get("framework")
            if framework and report.passed:
                self.areas[framework][name]["passed"] += 1
            elif framework and report.skipped:
                self.areas[framework][name]["skipped"] += 1

    def found(self) -> dict[str, dict]:
        """What the files should hold, as far as the run had tests for it."""
        from backends.frameworks import FRAMEWORKS

        known = {framework.name: framework for framework in FRAMEWORKS}
        found: dict[str, dict] = {}
        for name in sorted({*self.areas, *self.tracers}):
            found[name] = {"tracers": sorted(self.tracers[name])} if name in self.tracers else {}
            if name in self.areas:
                framework = known[name]
                areas = {area: dict(counts) for area, counts in self.areas[name].items() if counts["passed"]}
                found[name] |= {"version": framework.version(), "areas": areas}
                found[name]["unsupported_dtypes"] = framework.unsupported_dtypes
                if framework.copying_operations:
                    found[name]["copying_operations"] = framework.copying_operations
        return found

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput") or self.failed:
            return
        FOLDER.mkdir(exist_ok=True)
        wrong = []
        for name, found in self.found().items():
            path = FOLDER / f"{name}.json"
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if self.mode == "write":
                path.write_text(_text({**known, **found}), encoding="utf-8")
                continue
            versions = {"version": known["version"]} if "version" in known else {}
            before, after = (_text(record).splitlines() for record in (known, {**known, **found, **versions}))
            wrong += difflib.unified_diff(before, after, f"{path.name}: kept", f"{path.name}: found", n=1, lineterm="")
        if wrong:
            session.exitstatus = 1
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line("docs/conformance is not what the run found; run it with --record=write", red=True)
            for line in wrong:
                reporter.write_line(line)


def _text(record: dict) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
