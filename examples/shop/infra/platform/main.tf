# What the shop needs on the machine it runs on. Every provider here is built in, so that `lem apply` works offline.

terraform {
  required_providers {
    local  = { source = "hashicorp/local" }
    random = { source = "hashicorp/random" }
  }
}

locals {
  name = "shop-${var.environment}"

  settings = {
    environment = var.environment
    instance    = random_pet.instance.id
    currency    = var.currency
    limits      = { for name, limit in var.limits : name => limit if limit > 0 }
  }
}

resource "random_pet" "instance" {
  length = 2
  keepers = {
    environment = var.environment
  }
}

resource "random_password" "session" {
  length  = 32
  special = false
}

# The settings the service reads at start.
resource "local_file" "settings" {
  filename        = "${path.module}/generated/${var.environment}/settings.json"
  content         = jsonencode(local.settings)
  file_permission = "0644"
}

# The key it signs sessions with; its value is never shown.
resource "local_sensitive_file" "session" {
  filename = "${path.module}/generated/${var.environment}/session.key"
  content  = random_password.session.result
}

# One record per price list, made again when its source changes.
resource "terraform_data" "price_list" {
  for_each = var.price_lists

  input = {
    name    = each.key
    source  = each.value
    service = local.name
  }

  triggers_replace = [each.value]
}
