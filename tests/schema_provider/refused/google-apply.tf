# refused: IPv4 and IPv6 ranges can't be in one rule
resource "google_compute_firewall" "mixed" {
  name          = "mixed"
  network       = "default"
  source_ranges = ["10.0.0.0/8", "2001:db8::/32"]

  allow {
    protocol = "tcp"
  }
}

# refused: allow.ports: '90-80' is not a port
resource "google_compute_firewall" "backwards" {
  name          = "backwards"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]

  allow {
    protocol = "tcp"
    ports    = ["90-80"]
  }
}
