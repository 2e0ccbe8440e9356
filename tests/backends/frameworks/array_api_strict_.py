"""array-api-strict, an implementation of the array API standard that rejects what is not in the standard."""

from plait.testing import Framework


class ArrayAPIStrict(Framework):
    def make(self, array):
        return self.module().asarray(array)


FRAMEWORK = ArrayAPIStrict(
    "array_api_strict",
    "array_api_strict",
    unsupported_dtypes={"float16": "not in the standard", "bfloat16": "not in the standard"},
)
