"""Benchmarks: each promise about speed as a ratio of medians, both sides measured in turns.

`python -m bench` runs all of them and writes docs/benchmarks.md; `python -m bench cold ranges`
runs parts and only prints. The parts: cold, fleet, ranges, terraform.
"""
