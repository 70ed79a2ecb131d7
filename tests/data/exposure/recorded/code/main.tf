terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

variable "second" {
  default = false
}

data "aws_vpc" "default" {
  default = true
}

# rules of its own resources
resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = toset(var.second ? ["10.0.0.0/8"] : ["0.0.0.0/0", "10.0.0.0/8"])

  security_group_id = aws_security_group.web.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_ingress_rule" "from_bastion" {
  security_group_id            = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 80
  to_port                      = 80
  referenced_security_group_id = aws_security_group.bastion.id
}

resource "aws_vpc_security_group_ingress_rule" "all_v6" {
  count             = var.second ? 1 : 0
  security_group_id = aws_security_group.web.id
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
}

# rules in the group itself
resource "aws_security_group" "bastion" {
  name   = "bastion"
  vpc_id = data.aws_vpc.default.id

  ingress {
    from_port = 22
    to_port   = 22
    protocol  = "tcp"
    self      = true
  }

  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "dynamic" {
  name   = "dynamic"
  vpc_id = data.aws_vpc.default.id

  dynamic "ingress" {
    for_each = var.second ? [443, 8443] : [443]
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["10.0.0.0/8"]
    }
  }
}

# a group that is new in the second plan, with a module that uses it
resource "aws_security_group" "new" {
  count  = var.second ? 1 : 0
  name   = "new"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_eip" "nat" {
  count  = var.second ? 1 : 0
  domain = "vpc"
}

resource "aws_security_group_rule" "old" {
  count             = var.second ? 1 : 0
  type              = "ingress"
  security_group_id = aws_security_group.new[0].id
  protocol          = "tcp"
  from_port         = 5432
  to_port           = 5432
  cidr_blocks       = ["192.168.0.0/16", "${aws_eip.nat[0].public_ip}/32"]
}

module "more" {
  count  = var.second ? 1 : 0
  source = "./more"
  group  = aws_security_group.new[0].id
  from   = aws_security_group.web.id
}

# the parts of inline rules are not told apart in the configuration of a plan
resource "aws_security_group" "inline" {
  count  = var.second ? 1 : 0
  name   = "inline"
  vpc_id = data.aws_vpc.default.id

  ingress {
    from_port       = 5000
    to_port         = 5000
    protocol        = "tcp"
    security_groups = [aws_security_group.new[0].id]
  }
}

resource "aws_security_group" "inline_unknown" {
  count  = var.second ? 1 : 0
  name   = "inline-unknown"
  vpc_id = data.aws_vpc.default.id

  ingress {
    from_port   = 5001
    to_port     = 5001
    protocol    = "tcp"
    cidr_blocks = ["${aws_eip.nat[0].public_ip}/32"]
  }
}
