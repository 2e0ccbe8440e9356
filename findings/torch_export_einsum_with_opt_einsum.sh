#!/usr/bin/env bash
# torch 2.13.0 (CPU) with opt_einsum 3.4.0 installed: an einsum of three tensors cannot be exported with a dynamic length.
#
# opt_einsum only chooses the order of a contraction, so that installing it should change no result. `torch.einsum` asks it
# as soon as it is importable, and passes the lengths as integers: `torch.export` then takes a dynamic length for a constant,
# and refuses the program. Without opt_einsum, or with `torch.backends.opt_einsum.enabled = False`, the same program is
# exported and runs with other lengths. An einsum of two tensors, which asks for no order, is exported either way.
#
# Output seen:
#   enabled, two tensors     exported
#   enabled, three tensors   UserError
#   disabled, two tensors    exported
#   disabled, three tensors  exported
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "torch==2.13.0" "opt_einsum==3.4.0" "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
import torch


class Einsum(torch.nn.Module):
    def __init__(self, equation):
        super().__init__()
        self.equation = equation

    def forward(self, x):
        return torch.einsum(self.equation, *[x] * (self.equation.count(",") + 1))


found = []
for enabled in (True, False):
    torch.backends.opt_einsum.enabled = enabled
    for count, equation in (("two", "ab,ac->bc"), ("three", "ab,ac,ad->bcd")):
        length = torch.export.Dim("n", min=2, max=99)
        try:
            program = torch.export.export(
                Einsum(equation), (torch.ones(5, 3),), dynamic_shapes=({0: length},), strict=False
            )
            assert program.module()(torch.ones(7, 3)).flatten()[0] == 7
            outcome = "exported"
        except torch._dynamo.exc.UserError:
            outcome = "UserError"
        found.append(outcome)
        print(f"{'enabled' if enabled else 'disabled'}, {count} tensors".ljust(24), outcome)
assert torch.backends.opt_einsum.is_available()
assert found == ["exported", "UserError", "exported", "exported"], "the dynamic length is kept now"
PYTHON
"$work/venv/bin/python" check.py 2> /dev/null
