"""What weft would do with a pattern, without doing it. (Not named after `weft.explain`, which it would hide.)"""

from weft.explanation.explain import Explanation as Explanation
from weft.explanation.explain import explain as explain
