resource "aws_security_group" "web" {
  name        = "shop-web-${var.environment}"
  description = "Traffic of the shop"
  vpc_id      = var.vpc

  dynamic "ingress" {
    for_each = var.open_ports
    content {
      description = ingress.key
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  egress {
    description = "everywhere"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = local.tags
}

resource "aws_cloudwatch_log_group" "web" {
  #checkov:skip=CKV_AWS_158:the lines hold no personal data, and the key would cost more than the logs
  name              = "/shop/${var.environment}"
  retention_in_days = 365
  tags              = local.tags
}
