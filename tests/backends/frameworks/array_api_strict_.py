"""The standard's own reference implementation: whatever is beyond the standard, it refuses."""

from backends.frameworks.base import Framework


class ArrayAPIStrict(Framework):
    views = "hidden"

    def make(self, array):
        return self.module().asarray(array)


FRAMEWORK = ArrayAPIStrict(
    "array_api_strict",
    "array_api_strict",
    lacks={"float16": "not in the standard", "bfloat16": "not in the standard"},
)
