"""The second room: which size follows from which (``template``), then the sizes themselves (``sizes``).

Where sizes are known, two patterns may become one (``seam``), which is written down again (``spell``).
"""
