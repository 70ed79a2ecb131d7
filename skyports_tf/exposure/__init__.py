"""Who can reach what: addresses and ports as sets, and the rules of Terraform code that open them."""
