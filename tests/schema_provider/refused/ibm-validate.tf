# refused: direction: expected one of
# refused: tcp conflicts with udp
resource "ibm_is_security_group_rule" "both" {
  group     = "r006-x"
  direction = "in"
  tcp {}
  udp {}
}
