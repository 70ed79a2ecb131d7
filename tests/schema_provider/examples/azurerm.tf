provider "azurerm" {
  features {}
}
data "azurerm_network_security_group" "this" {
  name                = "sky-web-a1b2c3d4-3d61-nsg"
  resource_group_name = "web-a1b2c3d4-eastus"
}
resource "azurerm_network_security_rule" "port" {
  name                        = "web"
  resource_group_name         = data.azurerm_network_security_group.this.resource_group_name
  network_security_group_name = data.azurerm_network_security_group.this.name
  priority                    = 200
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefixes     = ["10.0.0.0/8"]
  destination_port_ranges     = ["8888", "9000-9005"]
  destination_address_prefix  = "*"
}
