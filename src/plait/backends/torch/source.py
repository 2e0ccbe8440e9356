"""How PyTorch is written."""

from plait.backends.common.source import Spelling

PROD = """\
for axis in reversed({axes}):
    {tensor} = torch.prod({tensor}, axis)
{tensor}"""

SPELLING = Spelling(
    imports="import torch",
    module="torch",
    view="{tensor}.view({shape})",
    permute="torch.permute({tensor}, {axes})",
    diagonal="torch.diagonal({tensor}, dim1={axes[0]}, dim2={axes[1]})",
    reduction="torch.{name}({tensor}, dim={axis})",
    reductions={
        "min": "torch.amin({tensor}, dim={axis})",
        "max": "torch.amax({tensor}, dim={axis})",
        "prod": PROD,
        "std": "torch.std({tensor}, dim={axis}, correction=0)",
        "var": "torch.var({tensor}, dim={axis}, correction=0)",
    },
)
