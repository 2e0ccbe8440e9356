"""How a large tensor is reduced or copied: the calls that its memory makes cheapest.

A reduction or a copy is a nest of loops over memory (`loops`). The same loops can be carried out by one call of the
framework or by several that come to the same (`reductions`, `centres`, `copies`), in an order and in blocks that its
memory likes. What each way costs is estimated from sizes, strides and what a framework charges (`prices`), and the
cheapest is taken.
"""

from weft.plan.passes.centres import CENTRES as CENTRES
from weft.plan.passes.centres import centred as centred
from weft.plan.passes.copies import copied as copied
from weft.plan.passes.prices import PassPrices as PassPrices
from weft.plan.passes.reductions import reduced as reduced
from weft.plan.passes.rewrites import REASONS as REASONS
from weft.plan.passes.schedule import Along as Along
from weft.plan.passes.schedule import Call as Call
from weft.plan.passes.schedule import Centred as Centred
from weft.plan.passes.schedule import Copying as Copying
from weft.plan.passes.schedule import Halves as Halves
from weft.plan.passes.schedule import Ones as Ones
from weft.plan.passes.schedule import Reduction as Reduction
from weft.plan.passes.schedule import Rows as Rows
