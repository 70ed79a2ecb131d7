data "ibm_is_security_group" "this" { name = "web-a1b2c3d4-sg" }
resource "ibm_is_security_group" "this" { vpc = data.ibm_is_security_group.this.vpc }
resource "ibm_is_security_group_rule" "port" {
  group     = ibm_is_security_group.this.id
  direction = "inbound"
  remote    = "10.0.0.0/8"
  tcp {
    port_min = 8888
    port_max = 8890
  }
}
