"""Text in, a frozen tree out, and canonical text back. Knows nothing of shapes or operations."""
