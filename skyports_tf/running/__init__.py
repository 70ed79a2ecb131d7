"""One run of Terraform: the process, its stream, and what a plan means in ports (entry: lifecycle.py)."""
