resource "oci_core_network_security_group" "this" {
  compartment_id = "ocid1.compartment.oc1..example"
  vcn_id         = "ocid1.vcn.oc1.iad.skypilot"
}

# refused: min 90 is above max 80
resource "oci_core_network_security_group_security_rule" "backwards" {
  network_security_group_id = oci_core_network_security_group.this.id
  direction                 = "INGRESS"
  protocol                  = "6"
  source                    = "10.0.0.0/8"
  tcp_options {
    destination_port_range {
      min = 90
      max = 80
    }
  }
}

# refused: 10.0.0.5/8 has host bits set
resource "oci_core_network_security_group_security_rule" "host" {
  network_security_group_id = oci_core_network_security_group.this.id
  direction                 = "INGRESS"
  protocol                  = "6"
  source                    = "10.0.0.5/8"
  tcp_options {
    destination_port_range {
      min = 80
      max = 80
    }
  }
}
