"""Contractions for one size: in which order tensors meet, and by which calls two of them are multiplied and summed."""

from weft.plan.contraction.contract import Contraction as Contraction
from weft.plan.contraction.contract import Decision as Decision
from weft.plan.contraction.contract import carry_out as carry_out
from weft.plan.contraction.contract import contract as contract
from weft.plan.contraction.contract import decide as decide
from weft.plan.contraction.meeting import EINSUM as EINSUM
from weft.plan.contraction.meeting import MATMUL as MATMUL
from weft.plan.contraction.meeting import MULTIPLY as MULTIPLY
from weft.plan.contraction.meeting import NOTHING as NOTHING
from weft.plan.contraction.meeting import VECDOT as VECDOT
from weft.plan.contraction.meeting import Buffer as Buffer
from weft.plan.contraction.meeting import Meeting as Meeting
from weft.plan.contraction.network import Network as Network
from weft.plan.contraction.network import neighbours as neighbours
from weft.plan.contraction.network import network as network
from weft.plan.contraction.path import How as How
from weft.plan.contraction.path import Path as Path
from weft.plan.contraction.path import check_name as check_name
from weft.plan.contraction.path import checked_path as checked_path
from weft.plan.contraction.path import flops as flops
from weft.plan.contraction.path import path_of as path_of
from weft.plan.contraction.prices import ONLY_EINSUM as ONLY_EINSUM
from weft.plan.contraction.prices import Prices as Prices
from weft.plan.contraction.show import Costs as Costs
from weft.plan.contraction.show import Shown as Shown
from weft.plan.contraction.show import lines_of as lines_of
