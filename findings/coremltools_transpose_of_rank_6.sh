#!/usr/bin/env bash
# coremltools 9.0: a transpose of rank 6 becomes six transposes of the whole tensor, where two of rank 5 or less do.
#
# Core ML takes tensors of rank 5 and less, so that the converter replaces a transpose of a higher rank, as patches of an
# image need it (`x.reshape(b, c, h, p, w, q).transpose(0, 2, 4, 3, 5, 1)`), by several. One would expect as few as
# the rank demands, and two of rank 4 and 3 give the same elements. It moves one axis after the other: six transposes for
# six axes, eight for eight, each of which moves the whole tensor. Nothing warns of it. Only axes that stay side by side
# are joined first, so that some orders of six axes are one transpose.
#
# Output seen (the number of transposes that the converted model has):
#   patches of an image, rank 6     6
#   patches of a video, rank 8      8
#   two axes swapped, rank 6        1
#   the same patches by two transposes of rank 4 and 3: equal
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "coremltools==9.0" "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
from math import prod

import coremltools
import numpy as np
from coremltools.converters.mil import Builder


def count_transposes(shape, order):
    @Builder.program(input_specs=[Builder.TensorSpec(shape=(prod(shape),))], opset_version=coremltools.target.iOS16)
    def program(x):
        split = Builder.reshape(x=x, shape=shape)
        return Builder.reshape(x=Builder.transpose(x=split, perm=order), shape=(-1,))

    model = coremltools.convert(program, convert_to="mlprogram")
    return [operation.op_type for operation in model._mil_program.functions["main"].operations].count("transpose")


image, patches = (2, 3, 2, 4, 3, 5), (0, 2, 4, 3, 5, 1)
found = {
    "patches of an image, rank 6": count_transposes(image, patches),
    "patches of a video, rank 8": count_transposes((2, 3, 2, 2, 2, 4, 2, 4), (0, 2, 4, 6, 3, 5, 7, 1)),
    "two axes swapped, rank 6": count_transposes(image, (0, 1, 2, 5, 3, 4)),
}
for name, count in found.items():
    print(f"{name:30}  {count}")
x = np.arange(prod(image))
b, c, h, p, w, q = image
first = x.reshape(b * c * h, p, w, q).transpose(0, 2, 1, 3)  # b c h w p q
second = first.reshape(b, c, h * w * p * q).transpose(0, 2, 1)  # b h w p q c
are_equal = np.array_equal(second.ravel(), x.reshape(image).transpose(patches).ravel())
print("the same patches by two transposes of rank 4 and 3:", "equal" if are_equal else "different")
assert list(found.values()) == [6, 8, 1], "coremltools makes another number of transposes now"
assert are_equal
PYTHON
"$work/venv/bin/python" -W ignore check.py 2> errors.txt || { cat errors.txt; exit 1; }
