# refused: spec.port: name is required where there are several
resource "kubernetes_service_v1" "nameless" {
  metadata {
    name = "nameless"
  }
  spec {
    port {
      port = 80
    }
    port {
      port = 81
    }
  }
}

# refused: spec.port: duplicate port, protocol: (80, 'TCP')
resource "kubernetes_service_v1" "twice" {
  metadata {
    name = "twice"
  }
  spec {
    port {
      name = "a"
      port = 80
    }
    port {
      name = "b"
      port = 80
    }
  }
}

# refused: spec.port: duplicate name: ('a',)
resource "kubernetes_service_v1" "same" {
  metadata {
    name = "same"
  }
  spec {
    port {
      name = "a"
      port = 80
    }
    port {
      name = "a"
      port = 81
    }
  }
}
