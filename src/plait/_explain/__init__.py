"""What plait would do with a pattern, without doing it. No module is called ``explain``, as the function is."""
