# refused: inbound_rule and outbound_rule: at most 50, got 51
resource "digitalocean_firewall" "many" {
  name = "many"
  dynamic "inbound_rule" {
    for_each = range(1, 52)
    content {
      protocol   = "tcp"
      port_range = tostring(inbound_rule.value)
    }
  }
}
