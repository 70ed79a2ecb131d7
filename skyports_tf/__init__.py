"""skyports-tf: the open ports of SkyPilot task files as reviewed Terraform.

The package is a straight pipeline; a file imports only from files before it:

    read      source, schema, task, config
    model     ports, hcl, model, naming, clouds
    resolve   resolve, pack
    render    render
    write     ledger, write
    run       terraform, lifecycle
    report    report/, cli/
"""

__version__ = "0.1.0"
