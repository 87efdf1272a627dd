environment = "staging"
instances   = 2
