"""skyports-tf: the open ports of SkyPilot task files as reviewed Terraform.

The package is a straight pipeline; a file imports only from files before it:

    read      source, schema, task, config        parts in text/ and tasks/
    model     ports, sources, hcl, model, naming, clouds
    resolve   grants, resolve, pack, stacks, limits        parts in packing/
    render    ledger, tree, render
    write     write, compiler
    run       terraform, lifecycle        parts in running/
    report    report/, cli/
"""

__version__ = "0.1.0"
