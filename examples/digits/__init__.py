"""One network, one specification, every framework: handwritten digits, learnt with weft's layers."""
