"""Speed and memory beside a peer or a floor, in one run: ``python -m benchmarks.speed.NAME``."""
