# refused: one of source_ranges, source_tags, source_service_accounts must be defined
resource "google_compute_firewall" "nowhere" {
  name          = "nowhere"
  network       = "default"
  source_ranges = null

  allow {
    protocol = "tcp"
  }
}
