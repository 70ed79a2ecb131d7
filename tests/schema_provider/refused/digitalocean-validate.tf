# refused: name: 'a.b' does not match
resource "digitalocean_tag" "a" { name = "a.b" }
