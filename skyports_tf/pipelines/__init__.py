"""Pipelines around a tree: what they are made from, and the files that other programs read."""
