# refused: name: 'Upper' does not match
resource "google_compute_firewall" "Upper" {
  name          = "Upper"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]

  allow {
    protocol = "tcp"
  }
}

# refused: name: 'xxxxxxxx
resource "google_compute_firewall" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {
  name          = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]

  allow {
    protocol = "tcp"
  }
}

# refused: priority: expected 0 to 65535, got 65536
resource "google_compute_firewall" "far" {
  name          = "far"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]
  priority      = 65536
  allow {
    protocol = "tcp"
  }
}

# refused: exactly one of allow, deny must be specified, not allow, deny
resource "google_compute_firewall" "both" {
  name          = "both"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]
  deny {
    protocol = "udp"
  }
  allow {
    protocol = "tcp"
  }
}

# refused: target_tags conflicts with source_service_accounts
resource "google_compute_firewall" "tags" {
  name                    = "tags"
  network                 = "default"
  source_ranges           = ["10.0.0.0/8"]
  target_tags             = ["a"]
  source_service_accounts = ["b"]
  allow {
    protocol = "tcp"
  }
}
