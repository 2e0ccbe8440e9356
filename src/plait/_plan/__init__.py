"""The third room: what a solved pattern means as a list of steps."""
