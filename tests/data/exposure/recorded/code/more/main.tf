variable "group" {}
variable "from" {}

resource "aws_security_group" "inner" {
  name = "inner"
}

resource "aws_vpc_security_group_ingress_rule" "inner" {
  security_group_id            = var.group
  ip_protocol                  = "udp"
  from_port                    = 53
  to_port                      = 53
  referenced_security_group_id = aws_security_group.inner.id
}

resource "aws_vpc_security_group_ingress_rule" "outer" {
  security_group_id            = var.group
  ip_protocol                  = "udp"
  from_port                    = 54
  to_port                      = 54
  referenced_security_group_id = var.from
}
