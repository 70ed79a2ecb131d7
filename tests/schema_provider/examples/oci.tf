data "oci_core_vcns" "this" {
  compartment_id = "ocid1.compartment.oc1..example"
  display_name   = "skypilot_vcn"
}
resource "oci_core_network_security_group" "this" {
  compartment_id = "ocid1.compartment.oc1..example"
  vcn_id         = data.oci_core_vcns.this.virtual_networks[0].id
  display_name   = "nsg_web-a1b2c3d4"
}
resource "oci_core_network_security_group_security_rule" "port" {
  for_each                  = toset(["10.0.0.0/8", "2001:db8::/32"])
  network_security_group_id = oci_core_network_security_group.this.id
  direction                 = "INGRESS"
  protocol                  = "6"
  source                    = each.key
  tcp_options {
    destination_port_range {
      min = 8888
      max = 8890
    }
  }
}
