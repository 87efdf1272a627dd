variable "environment" {
  description = "dev, staging or production."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment is dev, staging or production."
  }
}

variable "currency" {
  description = "Currency of all prices, as ISO 4217 code."
  type        = string
  default     = "EUR"
}

variable "limits" {
  description = "Requests a second each route takes; 0 is no limit."
  type        = map(number)
  default = {
    "/"       = 0
    "/prices" = 500
  }
}

variable "price_lists" {
  description = "Where each price list comes from."
  type        = map(string)
  default = {
    standard = "prices/standard.csv"
    partner  = "prices/partner.csv"
  }
}
