"""The third room: what a solved pattern means as a list of steps."""

from weft.plan.move import move as move
from weft.plan.plan import Plan as Plan
from weft.plan.plan import Sizes as Sizes
from weft.plan.simplify import REWRITES as REWRITES
from weft.plan.simplify import simplify as simplify
from weft.plan.steps import Add as Add
from weft.plan.steps import Copy as Copy
from weft.plan.steps import Diagonal as Diagonal
from weft.plan.steps import Einsum as Einsum
from weft.plan.steps import Expand as Expand
from weft.plan.steps import Permute as Permute
from weft.plan.steps import Reduce as Reduce
from weft.plan.steps import Reshape as Reshape
from weft.plan.steps import Shape as Shape
from weft.plan.steps import Step as Step
from weft.plan.steps import View as View
