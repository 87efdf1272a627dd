environment    = "production"
instances      = 4
instance_type  = "m5.large"
database_class = "db.m5.large"
