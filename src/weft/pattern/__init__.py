"""The first room: text in, a frozen tree out, and canonical text back. Knows nothing of shapes or operations."""

from weft.pattern.classical import classical as classical
from weft.pattern.parse import parse as parse
from weft.pattern.text import expr_text as expr_text
from weft.pattern.text import item_text as item_text
from weft.pattern.text import side_text as side_text
from weft.pattern.text import tree_text as tree_text
from weft.pattern.tokens import normalise as normalise
from weft.pattern.tree import Bracket as Bracket
from weft.pattern.tree import Ellipsis as Ellipsis
from weft.pattern.tree import Expr as Expr
from weft.pattern.tree import Group as Group
from weft.pattern.tree import Item as Item
from weft.pattern.tree import Leaf as Leaf
from weft.pattern.tree import Mark as Mark
from weft.pattern.tree import Name as Name
from weft.pattern.tree import Number as Number
from weft.pattern.tree import Tree as Tree
from weft.pattern.tree import dimensions as dimensions
from weft.pattern.tree import leaves as leaves
from weft.pattern.tree import names as names
