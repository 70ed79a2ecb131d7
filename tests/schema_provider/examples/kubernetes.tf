resource "kubernetes_service_v1" "port" {
  metadata { name = "web" }
  spec {
    type                        = "LoadBalancer"
    selector                    = { skypilot-cluster-name = "web-a1b2c3d4" }
    load_balancer_source_ranges = ["10.0.0.0/8"]
    port {
      name = "tcp-8888"
      port = 8888
    }
    port {
      name        = "tcp-9000"
      port        = 9000
      target_port = "9000"
    }
  }
}
output "ip" { value = kubernetes_service_v1.port.status[0].load_balancer[0].ingress[0].ip }
