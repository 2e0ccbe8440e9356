"""One network, one specification, every framework: handwritten digits, learnt with plait's layers."""
