"""Four implementations of multi-head attention with plait."""
