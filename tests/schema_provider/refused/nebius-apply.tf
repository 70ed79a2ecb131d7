resource "nebius_vpc_v1_security_group" "this" {
  parent_id  = "project-e00example"
  network_id = "vpcnetwork-e00example"
}

# refused: ingress.destination_ports: at most 8, got 9
resource "nebius_vpc_v1_security_rule" "nine" {
  parent_id = nebius_vpc_v1_security_group.this.id
  name      = "nine"
  access    = "ALLOW"
  protocol  = "TCP"

  ingress = {
    source_cidrs      = ["10.0.0.0/8"]
    destination_ports = [1, 2, 3, 4, 5, 6, 7, 8, 9]
  }
}

# refused: 2001:db8::/32 is not IPv4
resource "nebius_vpc_v1_security_rule" "six" {
  parent_id = nebius_vpc_v1_security_group.this.id
  name      = "six"
  access    = "ALLOW"
  protocol  = "TCP"

  ingress = {
    source_cidrs      = ["2001:db8::/32"]
    destination_ports = [80]
  }
}

# refused: ingress.source_cidrs: at most 8, got 9
resource "nebius_vpc_v1_security_rule" "cidrs" {
  parent_id = nebius_vpc_v1_security_group.this.id
  name      = "cidrs"
  access    = "ALLOW"
  protocol  = "TCP"

  ingress = {
    source_cidrs      = ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16", "10.6.0.0/16", "10.7.0.0/16", "10.8.0.0/16"]
    destination_ports = [80]
  }
}

# refused: priority: expected 0 to 1000, got 1001
resource "nebius_vpc_v1_security_rule" "late" {
  parent_id = nebius_vpc_v1_security_group.this.id
  name      = "late"
  access    = "ALLOW"
  protocol  = "TCP"
  priority  = 1001
  ingress = {
    source_cidrs      = ["10.0.0.0/8"]
    destination_ports = [80]
  }
}
