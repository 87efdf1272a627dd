#!/usr/bin/env python3
"""Writes a Terraform tree of about the wanted number of lines: the same one each time."""
import pathlib
import sys

BLOCKS = [
    """resource "aws_s3_bucket" "b{n}" {{
  bucket = "bucket-{n}"
  acl    = "{acl}"

  versioning {{
    enabled = {flag}
  }}

  tags = {{
    Name = "bucket {n}"
    Team = var.team
  }}
}}
""",
    """resource "aws_security_group" "g{n}" {{
  name = "group-{n}"

  ingress {{
    from_port   = {port}
    to_port     = {port}
    protocol    = "tcp"
    cidr_blocks = ["{cidr}"]
  }}
}}
""",
    """resource "aws_db_instance" "d{n}" {{
  identifier              = "db-{n}"
  engine                  = "postgres"
  instance_class          = "db.t3.micro"
  storage_encrypted       = {flag}
  publicly_accessible     = {other}
  backup_retention_period = {days}
}}
""",
    """resource "aws_instance" "i{n}" {{
  ami           = "ami-{n}"
  instance_type = var.size

  metadata_options {{
    http_tokens = "{tokens}"
  }}
}}
""",
    """resource "aws_iam_role" "r{n}" {{
  name = "role-{n}"

  assume_role_policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = {{ AWS = "{principal}" }}
    }}]
  }})
}}
""",
]


def main():
    root, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    root.mkdir(parents=True, exist_ok=True)
    (root / "variables.tf").write_text(
        'variable "team" {\n  default = "ops"\n}\n\nvariable "size" {\n  default = "t3.micro"\n}\n'
    )
    lines, n, file, text = 7, 0, 0, ""
    while lines < wanted:
        block = BLOCKS[n % len(BLOCKS)].format(
            n=n,
            acl="public-read" if n % 3 == 0 else "private",
            flag="true" if n % 2 else "false",
            other="false" if n % 4 else "true",
            port=22 if n % 3 else 443,
            cidr="0.0.0.0/0" if n % 2 else "10.0.0.0/8",
            days=n % 9,
            tokens="required" if n % 2 else "optional",
            principal="*" if n % 5 == 4 and n % 2 else "arn:aws:iam::123456789012:root",
        )
        text += block + "\n"
        lines += block.count("\n") + 1
        n += 1
        if text.count("\n") > 180:
            (root / f"part{file:03}.tf").write_text(text)
            file, text = file + 1, ""
    (root / f"part{file:03}.tf").write_text(text)


main()
