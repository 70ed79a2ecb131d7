"""The fewest rules, under keys that stay (entry: pack.py)."""
