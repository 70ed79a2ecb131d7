data "google_compute_network" "this" { name = "skypilot-vpc" }
resource "google_compute_firewall" "port" {
  name          = "web-a1b2c3d4"
  network       = data.google_compute_network.this.self_link
  source_ranges = ["10.0.0.0/8"]
  target_tags   = ["web-a1b2c3d4"]
  allow {
    protocol = "tcp"
    ports    = ["8888", "9000-9005"]
  }
}
