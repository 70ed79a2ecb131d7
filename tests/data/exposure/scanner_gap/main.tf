# Fifteen ways to expose port 22 to the internet, of which a common scanner (checkov 3.3.30) finds four, and
# three rules that do not, on all of which it raises an alarm. A resource's name says what it is.

resource "aws_security_group" "web" {
  name = "web"
}

resource "aws_security_group" "bastion" {
  name = "bastion"
}

resource "aws_vpc_security_group_ingress_rule" "open_v4" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "open_for_each" {
  for_each = toset(["0.0.0.0/0"])

  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_ingress_rule" "open_v6" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv6         = "::/0"
}

resource "aws_vpc_security_group_ingress_rule" "open_every_protocol" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "open_half" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = "0.0.0.0/1"
}

resource "aws_security_group" "open_beside_self" {
  name = "beside"

  ingress {
    protocol  = "tcp"
    from_port = 22
    to_port   = 22
    self      = true
  }

  ingress {
    protocol    = "tcp"
    from_port   = 22
    to_port     = 22
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "google_compute_firewall" "open_v4" {
  name          = "open-v4"
  network       = "default"
  source_ranges = ["0.0.0.0/0"]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "open_v6" {
  name          = "open-v6"
  network       = "default"
  source_ranges = ["::/0"]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "open_without_ports" {
  name          = "open-without-ports"
  network       = "default"
  source_ranges = ["0.0.0.0/0"]

  allow {
    protocol = "tcp"
  }
}

resource "azurerm_network_security_rule" "open_v4" {
  name                        = "open-v4"
  resource_group_name         = "group"
  network_security_group_name = "web"
  priority                    = 100
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "0.0.0.0/0"
  destination_port_range      = "22"
  destination_address_prefix  = "*"
}

resource "azurerm_network_security_rule" "open_v6" {
  name                        = "open-v6"
  resource_group_name         = "group"
  network_security_group_name = "web"
  priority                    = 101
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "::/0"
  destination_port_range      = "22"
  destination_address_prefix  = "*"
}

resource "oci_core_network_security_group_security_rule" "open" {
  network_security_group_id = "ocid1.networksecuritygroup.oc1..web"
  direction                 = "INGRESS"
  protocol                  = "6"
  source                    = "0.0.0.0/0"
  source_type               = "CIDR_BLOCK"

  tcp_options {
    destination_port_range {
      min = 22
      max = 22
    }
  }
}

resource "hcloud_firewall" "open" {
  name = "open"

  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "22"
    source_ips = ["0.0.0.0/0", "::/0"]
  }
}

resource "nebius_vpc_v1_security_rule" "open" {
  parent_id = "vpcsecuritygroup-web"
  access    = "ALLOW"
  protocol  = "TCP"

  ingress = {
    source_cidrs      = ["0.0.0.0/0"]
    destination_ports = [22]
  }
}

resource "kubernetes_service_v1" "open" {
  metadata {
    name = "web"
  }

  spec {
    type     = "LoadBalancer"
    selector = { app = "web" }

    port {
      port = 22
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "closed_group" {
  security_group_id            = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
  referenced_security_group_id = aws_security_group.bastion.id
}

resource "aws_vpc_security_group_ingress_rule" "closed_prefix_list" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  prefix_list_id    = "pl-0123456789abcdef0"
}

resource "aws_vpc_security_group_ingress_rule" "closed_udp" {
  security_group_id = aws_security_group.web.id
  ip_protocol       = "udp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = "0.0.0.0/0"
}
