# Where the shop would run in AWS: planned, priced and checked here; applied with `lem apply --engine terraform` and
# credentials of your own.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  tags = {
    service     = "shop"
    environment = var.environment
    team        = "storefront"
  }
}

resource "aws_instance" "web" {
  count = var.instances

  ami           = var.image
  instance_type = var.instance_type

  vpc_security_group_ids = [aws_security_group.web.id]
  monitoring             = true
  ebs_optimized          = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 30
    encrypted   = true
  }

  tags = local.tags
}

resource "aws_db_instance" "orders" {
  identifier        = "orders-${var.environment}"
  engine            = "postgres"
  engine_version    = "16.4"
  instance_class    = var.database_class
  allocated_storage = 100
  storage_type      = "gp3"
  # A finding: the storage is not encrypted.
  storage_encrypted = false

  username                    = "shop"
  manage_master_user_password = true
  multi_az                    = var.environment == "production"
  publicly_accessible         = false
  backup_retention_period     = var.environment == "production" ? 14 : 1
  auto_minor_version_upgrade  = true
  deletion_protection         = var.environment == "production"
  skip_final_snapshot         = var.environment != "production"

  tags = local.tags
}

resource "aws_s3_bucket" "receipts" {
  bucket = "shop-receipts-${var.environment}"
  tags   = local.tags
}

resource "aws_s3_bucket_public_access_block" "receipts" {
  bucket = aws_s3_bucket.receipts.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_lb" "front" {
  name               = "shop-${var.environment}"
  load_balancer_type = "application"
  security_groups    = [aws_security_group.web.id]
  subnets            = var.subnets

  drop_invalid_header_fields = true
  enable_deletion_protection = true

  tags = local.tags
}
