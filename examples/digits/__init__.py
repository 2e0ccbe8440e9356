"""A network that reads handwritten digits, built from one specification in every framework with plait's layers."""
