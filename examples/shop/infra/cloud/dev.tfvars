environment = "dev"
open_ports  = { https = 443, ssh = 22 }
