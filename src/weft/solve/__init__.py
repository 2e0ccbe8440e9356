"""The second room: which size follows from which (``template``), then the sizes themselves (``sizes``).

Where sizes are known, two patterns may become one (``seam``), which is written down again (``spell``).
"""

from weft.solve.seam import Wiring as Wiring
from weft.solve.seam import joined as joined
from weft.solve.seam import wiring as wiring
from weft.solve.sizes import Report as Report
from weft.solve.sizes import compute as compute
from weft.solve.sizes import evaluate as evaluate
from weft.solve.sizes import exact as exact
from weft.solve.sizes import facts as facts
from weft.solve.sizes import normalise_sizes as normalise_sizes
from weft.solve.sizes import report as report
from weft.solve.sizes import shape_text as shape_text
from weft.solve.spell import spelled as spelled
from weft.solve.template import CHECK as CHECK
from weft.solve.template import COMPUTING as COMPUTING
from weft.solve.template import NONEMPTY as NONEMPTY
from weft.solve.template import PRODUCT as PRODUCT
from weft.solve.template import Instruction as Instruction
from weft.solve.template import Template as Template
from weft.solve.template import dimension_place as dimension_place
from weft.solve.template import rank_error as rank_error
from weft.solve.template import template as template
from weft.solve.template import tensor_place as tensor_place
