"""What weft would do with a pattern, without doing it.

The room is not called ``explain``: it would hide the function `weft.explain`.
"""

from weft.explanation.composition import explain_composed as explain_composed
from weft.explanation.explain import Explanation as Explanation
from weft.explanation.explain import explain as explain
