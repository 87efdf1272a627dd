variable "environment" {
  description = "dev, staging or production."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "instances" {
  description = "Machines behind the load balancer."
  type        = number
  default     = 1
}

variable "instance_type" {
  description = "EC2 instance type of the web machines."
  type        = string
  default     = "t3.medium"
}

variable "database_class" {
  description = "RDS instance class of the orders."
  type        = string
  default     = "db.t3.medium"
}

variable "image" {
  description = "AMI of the web machines."
  type        = string
  default     = "ami-0123456789abcdef0"
}

variable "vpc" {
  description = "Network the shop is in."
  type        = string
  default     = "vpc-0123456789abcdef0"
}

variable "subnets" {
  description = "Subnets of the load balancer."
  type        = list(string)
  default     = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
}

variable "open_ports" {
  description = "Ports open to everybody, by what they are for."
  type        = map(number)
  default     = { https = 443 }
}
