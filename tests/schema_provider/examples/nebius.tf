data "nebius_vpc_v1_network" "this" {
  parent_id = "project-e00example"
  name      = "default-network"
}
resource "nebius_vpc_v1_security_group" "this" {
  parent_id  = "project-e00example"
  network_id = data.nebius_vpc_v1_network.this.id
  name       = "web"
}
resource "nebius_vpc_v1_security_rule" "port" {
  parent_id = nebius_vpc_v1_security_group.this.id
  name      = "tcp-8888"
  access    = "ALLOW"
  protocol  = "TCP"
  ingress = {
    source_cidrs      = ["10.0.0.0/8"]
    destination_ports = [8888, 8889]
  }
}
output "priority" { value = nebius_vpc_v1_security_rule.port.priority }
