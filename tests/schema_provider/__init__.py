"""A Terraform provider for tests: it serves a provider's schema to the real Terraform, and plays its cloud.

The providers of most clouds are large, and their clouds can't be had in a test. What a module's
test needs of them is here as data: the schema (schemas/), what the cloud does beyond the schema
(facts/), and a small cloud to start from (worlds/). README.md says where each comes from, and
how far each can be trusted. Terraform itself is real, and so are its validation, its plans,
its state, and the protocol it speaks with us.

How it goes: install.py makes a provider mirror; Terraform starts __main__.py from it;
server.py shakes hands; provider.py answers calls, with the values of values.py, the checks
of rules.py and limits.py, and the objects of objects.py; wire.py spells it all in bytes.
"""
