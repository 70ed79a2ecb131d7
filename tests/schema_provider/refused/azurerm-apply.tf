provider "azurerm" {
  features {}
}

resource "azurerm_network_security_rule" "first" {
  name                        = "first"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 300
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}

# refused: priority 300 is taken by
resource "azurerm_network_security_rule" "second" {
  name                        = "second"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 300
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
  depends_on                  = [azurerm_network_security_rule.first]
}

# refused: name: 'yyyyyyyy
resource "azurerm_network_security_rule" "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
  name                        = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 204
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}

# refused: source_address_prefixes: 'Internet' does not
resource "azurerm_network_security_rule" "tag" {
  name                        = "tag"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 225
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = null
  destination_port_range      = "80"
  destination_address_prefix  = "*"
  source_address_prefixes     = ["Internet"]
}

# refused: no such azurerm_network_security_group: name 'other'
resource "azurerm_network_security_rule" "lost" {
  name                        = "lost"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "other"
  priority                    = 262
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefix       = "*"
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}

# refused: source_address_prefixes: 10.1.0.0/16 is inside 10.0.0.0/8
resource "azurerm_network_security_rule" "inside" {
  name                        = "inside"
  resource_group_name         = "web-a1b2c3d4-eastus"
  network_security_group_name = "sky-web-a1b2c3d4-3d61-nsg"
  priority                    = 400
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  source_address_prefixes     = ["10.1.0.0/16", "10.0.0.0/8"]
  destination_port_range      = "80"
  destination_address_prefix  = "*"
}
