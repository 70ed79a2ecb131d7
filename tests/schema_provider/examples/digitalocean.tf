data "digitalocean_droplets" "nodes" {
  filter {
    key    = "tags"
    values = ["skypilot-cluster-name:web-a1b2c3d4"]
  }
}
resource "digitalocean_tag" "this" { name = "skypilot-cluster-name:web-a1b2c3d4" }
resource "digitalocean_firewall" "this" {
  name = "web-a1b2c3d4"
  tags = [digitalocean_tag.this.id]
  inbound_rule {
    protocol         = "tcp"
    port_range       = "8888-8890"
    source_addresses = ["10.0.0.0/8", "2001:db8::/32"]
  }
}
output "ip" { value = one(data.digitalocean_droplets.nodes.droplets).ipv4_address }
