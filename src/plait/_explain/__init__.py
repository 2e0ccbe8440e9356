"""``plait.explain``: the plan of a pattern as text, without carrying it out."""
