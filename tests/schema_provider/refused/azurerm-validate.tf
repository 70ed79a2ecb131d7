provider "azurerm" {
  features {}
}

# refused: priority: expected 100 to 4096, got 99
resource "azurerm_network_security_rule" "low" {
  name                        = "low"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 99
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}

# refused: protocol: expected one of
resource "azurerm_network_security_rule" "lower" {
  name                        = "lower"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 268
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}

# refused: not source_address_prefix, source_address_prefixes
resource "azurerm_network_security_rule" "twice" {
  name                        = "twice"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 255
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
  source_address_prefixes     = ["10.0.0.0/8"]
}

# refused: destination_port_range conflicts with destination_port_ranges
resource "azurerm_network_security_rule" "ports" {
  name                        = "ports"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 283
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
  destination_port_ranges     = ["80"]
}
